"""The console's one way to the engine: a thread with an event loop of its own, which runs client and stream.

It connects again for ever. What comes back crosses to the window's thread as Qt signals and in no other way, and
nothing in the window's thread ever waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx
from PySide6.QtCore import QObject, Qt, Signal, Slot
from shiboken6 import isValid

from evcontrol.api import endpoint
from evcontrol.api.client import ApiError, Client, EngineGoneError
from evcontrol.api.endpoint import NoEngineError
from evcontrol.api.schema import Session

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
"""Real time before the first new try after a loss; each further one waits twice as long, up to the longest."""
CONNECT_S = 5.0
"""Longest real time for the first answer of an engine."""
SILENT_S = 3.0
"""An engine that says nothing for so long is connected to anew; it beats four times a second."""
LEAVE_S = 2.0
"""Longest real time for signing off when the console is closed."""
_EXPECTED = (ApiError, EngineGoneError, NoEngineError)


class SignedOffError(Exception):
    """Nobody is signed on."""


@dataclass(frozen=True)
class Address:
    """Where the engine is: at ``url``, or where the one listens that runs on the data directory."""

    url: str = ""
    data: Path | None = None

    def find(self) -> tuple[str, str]:
        """The URL now, and the token of the run (empty when it cannot be read). NoEngineError when there is none."""
        if self.data is not None:
            try:
                where, token = endpoint.find(self.data)
            except NoEngineError:
                if not self.url:
                    raise
            else:
                if self.url.rstrip("/") in ("", where.url.rstrip("/")):
                    return where.url, token
        return self.url.rstrip("/"), ""


@dataclass(frozen=True)
class _Asked:
    """Who waits for an answer, and what is called. Never leaves the window's thread, where it also has to end."""

    owner: QObject
    work: Callable[[Client], Awaitable[Any]]
    done: Callable[[Any], None]
    failed: Callable[[str], None]


@dataclass(frozen=True)
class _Reply:
    """What came of the request of that number."""

    number: int
    done: bool
    what: Any


class Link(QObject):
    """Connects, follows, asks and commands.

    ``arrived`` brings a Snapshot, ``said`` each message of the stream after it, ``lost`` why there is none any more,
    ``signed`` a Session or None.
    """

    arrived = Signal(object)
    said = Signal(object)
    lost = Signal(str)
    signed = Signal(object)
    _replied = Signal(object)

    def __init__(self, address: Address, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._address = address
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="link to the engine", daemon=True)
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching: Client | None = None
        self._acting: Client | None = None
        self._acting_url = ""
        self._acting_token = ""
        self._heard = 0.0
        self._numbers = count()
        self._asked: dict[int, _Asked] = {}
        self._replied.connect(self._tell, Qt.ConnectionType.QueuedConnection)

    # -- called in the window's thread -------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """Sign off, and end the thread."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(LEAVE_S + 1.0)

    def read(
        self,
        owner: QObject,
        work: Callable[[Client], Awaitable[T]],
        done: Callable[[T], None],
        failed: Callable[[str], None],
    ) -> None:
        """Ask for something that is only looked at; one of the two is called later, if ``owner`` is still there."""
        self._begin(self._answer(self._note(owner, work, done, failed), self._reading))

    def act(
        self,
        owner: QObject,
        work: Callable[[Client], Awaitable[T]],
        done: Callable[[T], None],
        failed: Callable[[str], None],
    ) -> None:
        """Do something in the name of the signed-on person; the same as for :meth:`read` otherwise."""
        self._begin(self._answer(self._note(owner, work, done, failed), self._signed_on))

    def sign_on(
        self, owner: QObject, who: tuple[str, str, str], done: Callable[[Session], None], failed: Callable[[str], None]
    ) -> None:
        """Open a session for user, password and station."""

        async def work(client: Client) -> Session:
            return await self._open_session(client, *who)

        self._begin(self._answer(self._note(owner, work, done, failed), self._stranger))

    def sign_off(self) -> None:
        """Close the session."""
        self._begin(self._close_session())

    @Slot(object)
    def _tell(self, reply: _Reply) -> None:
        """Hand an answer over, if who asked is still there."""
        asked = self._asked.pop(reply.number)
        if isValid(asked.owner):
            (asked.done if reply.done else asked.failed)(reply.what)

    def _note(
        self,
        owner: QObject,
        work: Callable[[Client], Awaitable[T]],
        done: Callable[[T], None],
        failed: Callable[[str], None],
    ) -> int:
        number = next(self._numbers)
        self._asked[number] = _Asked(owner, work, done, failed)
        return number

    # -- in the link's thread ----------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None or self._loop.is_closed():
            work.close()
            return
        self._loop.call_soon_threadsafe(self._spawn, work)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._poked = asyncio.Event()
        watching = asyncio.create_task(self._watch(), name="watch")
        self._ready.set()
        await self._ended.wait()
        watching.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(watching, *self._tasks, return_exceptions=True)
        with suppress(TimeoutError):  # the engine ends the session by itself
            async with asyncio.timeout(LEAVE_S):
                await self._close_session()

    async def _watch(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                url, token = self._address.find()
                if await self._follow(url, token or self._acting_token):
                    pause = FIRST_PAUSE_S
            except _EXPECTED as error:
                self.lost.emit(str(error))
            except Exception as error:  # noqa: BLE001  (whatever it is, the console must come back)
                self.lost.emit(f"unexpected answer of the engine ({type(error).__name__}: {error})")
            self._watching = None
            try:
                async with asyncio.timeout(pause):
                    await self._poked.wait()
            except TimeoutError:
                pause = min(2 * pause, LONGEST_PAUSE_S)
            self._poked.clear()

    async def _follow(self, url: str, token: str) -> bool:
        """Show the engine until it is gone; whether it was there at all."""
        if not token:
            raise EngineGoneError("sign on to watch this engine: its run token cannot be read from here")
        async with Client(url, token) as client:
            try:
                async with asyncio.timeout(CONNECT_S):
                    await self._check_session(url)
                    snapshot = await client.snapshot()
            except TimeoutError:
                raise EngineGoneError(f"the engine at {url} does not answer") from None
            self._watching = client
            self.arrived.emit(snapshot)
            reader = asyncio.create_task(self._listen(client), name="stream")
            try:
                await self._until_silent(reader)
            except _EXPECTED as error:
                self.lost.emit(str(error))
            finally:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
        return True

    async def _listen(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        async with aclosing(client.stream_with_beats()) as stream:
            async for message in stream:
                self._heard = loop.time()
                self.said.emit(message)

    async def _until_silent(self, reader: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        while not reader.done():
            await asyncio.wait({reader}, timeout=0.1)
            if not reader.done() and loop.time() - self._heard > SILENT_S:
                raise EngineGoneError(f"the engine has said nothing for {SILENT_S:.0f} s")
        reader.result()

    async def _answer(self, number: int, client_of: Callable[[], Client]) -> None:
        done = False
        what: Any
        try:
            what = await self._asked[number].work(client_of())
            done = True
        except SignedOffError:
            what = "nobody is signed on"
        except ApiError as error:
            what = str(error)
            if error.status == httpx.codes.UNAUTHORIZED and client_of == self._signed_on:
                what = "the session has ended: sign on again"
                await self._forget_session()
        except _EXPECTED as error:
            what = f"{error}. Look before you try again: it may have been done"
        except Exception as error:  # noqa: BLE001  (whatever it is, a person gets one line)
            what = f"not understood ({type(error).__name__}: {error})"
        self._replied.emit(_Reply(number, done, what))

    def _reading(self) -> Client:
        if self._watching is None:
            raise EngineGoneError("the engine is gone")
        return self._watching

    def _signed_on(self) -> Client:
        if self._acting is None:
            raise SignedOffError
        return self._acting

    def _stranger(self) -> Client:
        return Client(self._address.find()[0])

    # -- the session -------------------------------------------------------------------------------------------------

    async def _open_session(self, client: Client, user: str, password: str, station: str) -> Session:
        try:
            session = await client.sign_on(user, password, station)
        except BaseException:
            await client.__aexit__(None, None, None)
            raise
        await self._close_session()
        self._acting, self._acting_url, self._acting_token = client, self._address.find()[0], session.token
        self.signed.emit(session)
        self._poked.set()
        return session

    async def _close_session(self) -> None:
        client = self._acting
        if client is None:
            return
        with suppress(*_EXPECTED):  # it has ended already, or ends with the engine
            await client.sign_off()
        if self._acting is client:
            await self._forget_session()

    async def _forget_session(self) -> None:
        if self._acting is not None:
            await self._acting.__aexit__(None, None, None)
        self._acting, self._acting_url, self._acting_token = None, "", ""
        self.signed.emit(None)

    async def _check_session(self, url: str) -> None:
        """Whether the session has outlived what was lost: a new engine knows none of an old one."""
        if self._acting is None:
            return
        try:
            if url == self._acting_url:
                await self._acting.alarms()
                return
        except ApiError:
            pass
        await self._forget_session()
