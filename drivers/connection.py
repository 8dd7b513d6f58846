"""Reconnecting as its own state machine, and the one queue through which a driver asks its device.

A link is READY only while the device answers: a connection that opens but stays silent in the hand-shake, or misses
one answer, is dropped and made anew, so that a late answer can never be taken for the next request's. A driver that
asks rarely gives a probe, which is asked meanwhile. The reason says how far a connection came: the name of the host,
the connection, the hand-shake. All times in this module are real seconds (the event loop's).
"""

from __future__ import annotations

import asyncio
import heapq
import os
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from drivers.driver import Link, LinkState
from evcontrol.clock import Clock

FIRST_RETRY_S = 0.05
RETRY_FACTOR = 2.0
RETRY_CAP_S = 1.5
RETRY_JITTER = 0.25
"""Part of a pause by which it is varied, so that many drivers do not knock at the same moment."""
STEADY_S = 5.0
"""A link that held this long starts again from the first, short pause."""
REFUSED_RETRY_S = 3.0
"""How often a device that refused us (or that we refused) is asked whether it has changed."""
PROBE_AFTER_S = 2.0
"""After so long without an answer to anything a device is asked whether it is still there, where a driver says how."""
_BUSY = "the line was busy for too long"

R = TypeVar("R")


class LinkLostError(Exception):
    """The connection is gone; the message says why. What was sent may or may not have arrived."""


class SilentError(LinkLostError):
    """The device did not answer in time."""


class UnreadableError(LinkLostError):
    """The device sent what its protocol does not allow, so that nothing after it can be trusted."""


class LinkRefusedError(Exception):
    """The device is not the right one, or does not let us in; asked again after ``pause_s``.

    Where asking does harm (a password that is wrong once too often locks the account), the pause of a subclass is
    long, or grows: it doubles from one refusal to the next up to ``longest_pause_s``.
    """

    pause_s: ClassVar[float] = REFUSED_RETRY_S
    longest_pause_s: ClassVar[float] = 0.0
    """No growth when it is below ``pause_s``."""


class NotSentError(Exception):
    """The request was never sent; the message says why."""


class Urgency(IntEnum):
    """Who goes first when several requests wait for the line; what is under way is never overtaken."""

    HEARTBEAT = 0
    WRITE = 1
    READ = 2


class Session(Protocol):
    """One open connection, over which requests go one at a time."""

    lost: asyncio.Future[str]
    """Done, with the reason, when the other end goes away."""

    async def close(self) -> None:
        """Close at once; what the device has not received yet must not reach it any more."""


S = TypeVar("S", bound=Session)


class Connection(Generic[S]):
    """Keeps a session open, and asks over it.

    ``connect`` opens a session (OSError or :class:`LinkLostError` when it cannot). ``handshake`` finds out that the
    device answers and is the right one, and returns what to say of a ready link (:class:`LinkRefusedError` when it is
    the wrong one). ``on_link`` is called on the event loop, in order, for every change of the link. ``probe`` is a
    request without effect, asked when nothing was answered for ``PROBE_AFTER_S``: so a link that looks alive is found
    silent even when nobody reads.
    """

    def __init__(
        self,
        clock: Clock,
        connect: Callable[[], Awaitable[S]],
        handshake: Callable[[S], Awaitable[str]],
        timeout_s: float,
        on_link: Callable[[Link], None],
        probe: Callable[[S], Awaitable[object]] | None = None,
    ) -> None:
        self._clock = clock
        self._connect = connect
        self._handshake = handshake
        self._timeout_s = timeout_s
        self._on_link = on_link
        self._probe = probe
        self._heard = 0.0
        self._link = Link(LinkState.DISCONNECTED, "not started", clock.now())
        self._waiting: list[_Request[S]] = []
        self._numbers = count()
        self._wake = asyncio.Event()
        self._drop_reason: str | None = None
        self._session: S | None = None
        self._asking: object = None
        """Whoever's turn it is on the session."""
        self._task: asyncio.Task[None] | None = None

    @property
    def link(self) -> Link:
        """How the link is now."""
        return self._link

    @property
    def ready(self) -> bool:
        """Whether requests can be sent."""
        return self._link.state is LinkState.READY

    def start(self) -> None:
        """Begin connecting in the background; does nothing when begun already."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="connection")
            self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Close the connection. A request under way ends with :class:`LinkLostError`, waiting ones are not sent."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait((task,))
        self._set(LinkState.DISCONNECTED, "stopped")

    def pressed(self, urgency: Urgency) -> bool:
        """Whether something more urgent waits, before which a request of many parts should end."""
        return bool(self._waiting) and self._waiting[0].urgency < urgency

    def drop(self, reason: str) -> None:
        """Make the connection anew, because of something that the owner has seen."""
        self._drop_reason = reason
        self._wake.set()

    def say(self, words: str) -> None:
        """Change what is said of a link that is ready."""
        if self.ready:
            self._set(LinkState.READY, words)

    async def ask(
        self, request: Callable[[S], Awaitable[R]], urgency: Urgency, deadline: float, *, outcome: bool = False
    ) -> R:
        """Send one request when its turn comes and return its answer.

        Raises :class:`NotSentError` when it was not sent before ``deadline`` (loop time), :class:`LinkLostError` or
        :class:`SilentError` when it was and no answer came, and whatever the device's own refusal raises. With
        ``outcome`` an answer under way is waited for beyond the deadline, for one time-out at the most. A cancelled
        asker leaves a request that is under way to end by itself.
        """
        if not self.ready:
            raise NotSentError(_not_connected(self._link))
        loop = asyncio.get_running_loop()
        if loop.time() >= deadline:  # the timer would come after the turn
            raise NotSentError(_BUSY)
        entry = _Request(urgency, next(self._numbers), request, loop.create_future())
        heapq.heappush(self._waiting, entry)
        self._wake.set()

        def too_late() -> None:
            if not entry.sent:
                entry.fail(NotSentError(_BUSY))
            elif not outcome:
                entry.fail(SilentError(silence_words(self._timeout_s)))

        timer = loop.call_at(deadline, too_late)
        try:
            result: R = await entry.answer  # an asker that is cancelled cancels it, and what waits is not sent
            return result
        finally:
            timer.cancel()

    async def ask_here(self, request: Callable[[S], Awaitable[R]], urgency: Urgency, deadline: float) -> R:
        """As :meth:`ask`, but in the asker's own task when the line is free, which is faster.

        For requests that end by themselves at the deadline, and that the session can do without when the asker is
        cancelled half-way.
        """
        session = self._session
        if session is None or self._asking is not None or self._waiting or not self.ready:
            return await self.ask(request, urgency, deadline)
        turn = self._asking = object()
        try:
            result = await request(session)
            self._heard = asyncio.get_running_loop().time()
            return result
        except LinkLostError as error:
            if self._session is session:
                self.drop(str(error))
            raise
        finally:
            if self._asking is turn:
                self._asking = None
            if self._waiting or self._drop_reason is not None or session.lost.done():
                self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._set(LinkState.CONNECTING, "connecting")
        pause = FIRST_RETRY_S
        refusals = 0
        while True:
            try:
                session, words = await self._open()
                refusals = 0
                since = loop.time()
                await self._use(session, words)
                if loop.time() - since >= STEADY_S:
                    pause = FIRST_RETRY_S
            except LinkRefusedError as refusal:
                self._set(LinkState.REFUSED, str(refusal))
                await asyncio.sleep(max(refusal.pause_s, min(refusal.pause_s * 2.0**refusals, refusal.longest_pause_s)))
                refusals = min(refusals + 1, 30)
                continue
            except LinkLostError as error:
                self._set(LinkState.DISCONNECTED, str(error))
            except Exception as error:  # noqa: BLE001  (a mistake of ours must not keep a device away for ever)
                self._failed(error)
                await asyncio.sleep(REFUSED_RETRY_S)
                continue
            await asyncio.sleep(pause * random.uniform(1 - RETRY_JITTER, 1 + RETRY_JITTER))  # noqa: S311  (no secret)
            pause = min(RETRY_CAP_S, pause * RETRY_FACTOR)

    async def _open(self) -> tuple[S, str]:
        try:
            async with asyncio.timeout(self._timeout_s):
                session = await self._connect()
        except TimeoutError:
            raise SilentError(f"no connection within {self._timeout_s:g} s") from None
        except OSError as error:
            raise LinkLostError(os_error_words(error)) from error
        if self._link.state is LinkState.CONNECTING:
            self._set(LinkState.CONNECTING, "shaking hands")
        try:
            return session, await self._handshake(session)
        except BaseException as error:
            await session.close()
            if type(error) is SilentError:
                raise SilentError(f"hand-shake: {error}") from error
            raise

    async def _use(self, session: S, words: str) -> None:
        self._drop_reason = None
        self._session, self._asking = session, None
        self._set(LinkState.READY, words)
        reason = "stopped"
        watching = None if self._probe is None else asyncio.create_task(self._watch(self._probe), name="link watchdog")
        try:
            reason = await self._serve(session)
        finally:
            self._session = None
            self._set(LinkState.DISCONNECTED, reason)
            waiting, self._waiting = self._waiting, []
            for entry in waiting:
                entry.fail(NotSentError(_not_connected(self._link)))
            if watching is not None:
                watching.cancel()
            await session.close()

    async def _serve(self, session: S) -> str:
        """Send what is asked, most urgent first, until the link is lost; returns why."""
        session.lost.add_done_callback(lambda _: self._wake.set())
        while True:
            if session.lost.done():
                return session.lost.result()
            if self._drop_reason is not None and self._asking is None:
                return self._drop_reason
            if not self._waiting or self._asking is not None:
                self._wake.clear()
                await self._wake.wait()
                continue
            entry = heapq.heappop(self._waiting)
            if entry.answer.done():
                continue
            entry.sent = True
            self._asking = entry
            try:
                result = await answer_within(self._timeout_s, entry.request(session))
            except LinkLostError as error:
                entry.fail(error)
                return str(error)
            except asyncio.CancelledError:
                entry.fail(LinkLostError("the connection was closed before the answer came"))
                raise
            except Exception as error:  # noqa: BLE001  (belongs to who asked, and is raised there)
                entry.fail(error)
            else:
                self._heard = asyncio.get_running_loop().time()
                entry.succeed(result)
            finally:
                self._asking = None

    async def _watch(self, probe: Callable[[S], Awaitable[object]]) -> None:
        """Ask when nobody else does; that nothing comes back drops the link as after any other request."""
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        while True:
            await asyncio.sleep(max(0.0, self._heard + PROBE_AFTER_S - loop.time()))
            if loop.time() < self._heard + PROBE_AFTER_S:
                continue
            # One that had to wait for the line may be answered after its time: whether it is silent, the turn tells.
            await asyncio.gather(self.ask(probe, Urgency.READ, loop.time() + self._timeout_s), return_exceptions=True)
            self._heard = loop.time()  # a refusal is an answer too, and of a busy line somebody else hears

    def _set(self, state: LinkState, reason: str) -> None:
        old = self._link
        if (old.state, old.reason) == (state, reason):
            return
        self._link = Link(state, reason, old.since if old.state is state else self._clock.now())
        # Not called directly: a listener that fails must not take the connection with it, nor go unheard.
        asyncio.get_running_loop().call_soon(self._on_link, self._link)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self._set(LinkState.DISCONNECTED, f"the driver failed: {error!r}")
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a driver's connection failed", "exception": error, "task": self._task}
        )


async def answer_within(timeout_s: float, answer: Awaitable[R]) -> R:
    """The answer, or :class:`SilentError` after so many real seconds."""
    try:
        async with asyncio.timeout(timeout_s):
            return await answer
    except TimeoutError:
        raise SilentError(silence_words(timeout_s)) from None


def silence_words(timeout_s: float) -> str:
    """What is said of a device that did not answer within so many real seconds."""
    return f"no answer within {timeout_s:g} s"


def os_error_words(error: OSError) -> str:
    """What the operating system says of a failure, without codes and addresses."""
    if isinstance(error, socket.gaierror):
        return f"the name of the host is not found: {(error.strerror or str(error)).lower()}"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return error.strerror or str(error)


@dataclass(order=True, slots=True)
class _Request(Generic[S]):
    urgency: Urgency
    number: int
    request: Callable[[S], Awaitable[Any]] = field(compare=False)
    answer: asyncio.Future[Any] = field(compare=False)
    sent: bool = field(default=False, compare=False)

    def succeed(self, result: object) -> None:
        if not self.answer.done():
            self.answer.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # an asker that was cancelled meanwhile is not there to retrieve it


def _not_connected(link: Link) -> str:
    return f"not connected: {link.reason}" if link.reason else "not connected"
