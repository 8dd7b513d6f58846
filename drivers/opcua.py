"""OPC UA: variables of a server as tags, reported by subscription, written in groups, and the server's watchdog."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final, TypeVar

import numpy as np

from drivers.connection import (
    LinkLostError,
    NotSentError,
    Urgency,
)
from drivers.device import UNANSWERED, DeviceDriver, all_of, none_sent
from drivers.driver import BoundPoint, Link, Model, Outcome, WriteResult
from drivers.opcua_client import Entrance, TcpOpcUaSession
from drivers.opcua_identity import User
from drivers.opcua_image import Counts, Image
from drivers.opcua_messages import status_name
from drivers.opcua_options import Mode, OpcUaOptions, Trigger, password_of
from drivers.opcua_points import Codec, OpcUaPoint, Place, next_beat
from drivers.opcua_security import Credentials
from drivers.opcua_session import Missing, Node, OpcUaRefusedError, OpcUaSession, Terms
from drivers.start_counter import StartCounter
from drivers.worker import Worker
from evcontrol.clock import Clock
from evcontrol.quality import (
    BAD_DECODING,
    BAD_TIMEOUT,
    QualityArray,
    is_bad,
    is_good,
)
from evcontrol.signals import FloatArray, Frame

R = TypeVar("R")

_COMPLETES_LATER: Final = 0x002E_0000
"""Good_CompletesAsynchronously (OPC 10000-4, 7.39.2), as the codes below."""
_MAY_LAND: Final = frozenset(
    {0x8001_0000, 0x8002_0000, 0x8005_0000, 0x800A_0000, 0x8031_0000, 0x8085_0000, 0x808B_0000}
)
"""Bad_UnexpectedError, Bad_InternalError, Bad_CommunicationError, Bad_Timeout, Bad_NoCommunication, Bad_RequestTimeout,
Bad_DeviceFailure: the server has begun to write, or asked a device behind it, and does not know what came of it."""


class OpcUaDriver(DeviceDriver[OpcUaSession, OpcUaOptions, OpcUaPoint]):
    """An OPC UA server (see :class:`drivers.driver.Driver`).

    ``connect`` opens the session and is replaced for equipment in this process (``opcua_session.in_process``). A write
    waits its turn for one time-out at the most and then takes one more at the most. ValueError when the options name a
    start counter that is no tag of this device.
    """

    options_model: ClassVar[type[Model]] = OpcUaOptions
    point_model: ClassVar[type[Model]] = OpcUaPoint

    def __init__(
        self,
        name: str,
        options: Model,
        points: Sequence[BoundPoint],
        clock: Clock,
        *,
        connect: Callable[[OpcUaOptions], Awaitable[OpcUaSession]] | None = None,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        super().__init__(name, options, points, clock, on_link=on_link)
        self.connect: Callable[[OpcUaOptions], Awaitable[OpcUaSession]] = connect or self._connect_tcp
        self._files = Worker(f"files of {name}", clock)
        self._start_counter = StartCounter(name, self._options.start_counter, self._position)
        self.counts = Counts()
        self._counts_before = Counts()
        self._words = ""
        self._image: Image | None = None
        self._latency_s = 0.0
        self._heartbeat: Node | None = None
        self._beat: object = None
        self._watchdog: Node | Missing | None = None
        self._watchdog_trouble = ""

    async def stop(self) -> None:
        """Close the connection; a write under way ends as UNKNOWN."""
        await super().stop()
        self._files.end()

    async def read(self) -> Frame:
        """The latest reading of every point, and an answer of now from those that must be asked for."""
        image = self._image
        bad: dict[int, int] = {}
        if image is not None and self._connection.ready:
            bad = await self._ask_for(image, image.to_ask())
        now = self._clock.now()
        if image is None or image is not self._image or image.lost() or not self._connection.ready:
            value, quality = self._unread()
            quality[:] = self._lost_quality(bad.values())
            return self._frame(value, quality, np.full(len(value), now, dtype=np.int64), now)
        value, quality, source_t = image.value.copy(), image.quality.copy(), image.source_t(now)
        for position, code in bad.items():
            value[position], quality[position], source_t[position] = np.nan, code, now
        self._watch_starts(value, quality)
        if losses := self.counts.losses(self._counts_before):
            self._connection.say("; ".join(filter(None, [self._words, *losses])))
        return self._frame(value, quality, source_t, now)

    async def _send(self, values: Mapping[str, float], deadline: float) -> Mapping[str, WriteResult]:
        """In one request unless they are more than it may carry; after an UNKNOWN outcome nothing more is sent.

        Whatever became of them, the points are asked for until what the server reports must be younger than the write.
        """
        image = self._image
        if image is None:
            return all_of(values, Outcome.REJECTED, "not connected")
        targets: list[tuple[str, int, Node, object]] = []
        for tag, value in values.items():
            try:
                node, codec = image.target(self._position[tag])
                targets.append((tag, self._position[tag], node, codec.encode(value)))
            except ValueError as misfit:
                return none_sent(values, tag, str(misfit))
        results: dict[str, WriteResult] = {}
        for start in range(0, len(targets), self._options.max_nodes):
            part = targets[start : start + self._options.max_nodes]
            unknown = next((each for each in results.values() if each.outcome is Outcome.UNKNOWN), None)
            if unknown is not None:
                reason = f"not sent: the outcome of an earlier write is unknown ({unknown.reason})"
                results |= dict.fromkeys([tag for tag, *_ in part], WriteResult(Outcome.REJECTED, reason))
                continue
            sent = await self._write_part(image, part, deadline)
            results |= {tag: result for (tag, *_), result in zip(part, sent, strict=True)}
        return results

    async def feed_watchdog(self) -> bool:
        """Change the heartbeat; whether the device took it and has the watchdog time it should have."""
        image, node = self._image, self._heartbeat
        if image is None or node is None:
            return False
        beat = next_beat(node.type, self._beat)
        try:
            statuses = await self._ask(image, lambda session: session.write([(node, beat)]), Urgency.HEARTBEAT)
            if not is_good(statuses[0]):
                return False
            self._beat = beat
            if self._watchdog_trouble:
                self._watchdog_trouble = await self._ask(image, self._set_watchdog, Urgency.HEARTBEAT)
        except (NotSentError, LinkLostError, OpcUaRefusedError):
            return False
        return not self._watchdog_trouble

    # -- connecting ------------------------------------------------------------------------------------------------

    def _probing(self) -> Callable[[OpcUaSession], Awaitable[object]]:
        return lambda session: session.check()

    async def _open(self) -> OpcUaSession:
        return await self.connect(self._options)

    async def _connect_tcp(self, options: OpcUaOptions) -> OpcUaSession:
        """Files may lie where they hang, and keys take their time: not on the event loop, nor in threads of others."""
        if stuck_s := self._files.stuck_s:
            raise LinkLostError(f"the files of certificates or the password have not answered for {stuck_s:.0f} s")
        return await TcpOpcUaSession.open(await self._files.run(lambda: _entrance(options)))

    async def _handshake(self, session: OpcUaSession) -> str:
        """Find the variables, have them reported, see whether the device restarted, give it its watchdog time."""
        try:
            words = [await session.check()]
            nodes = await session.find([point.place for point in self._points] + self._places_of_watchdog())
            image = Image(session, self._bound, nodes[: len(self._points)], self.counts)
            words += [image.mistakes(), await self._subscribe(image), await self._see_restart(image)]
            words += await self._take_up_watchdog(session, nodes[len(self._points) :])
        except OpcUaRefusedError as refused:
            raise LinkLostError(f"the server answered: {status_name(refused.code)}") from refused
        self._image = image
        self._counts_before, self._words = replace(self.counts), "; ".join(filter(None, words))
        return self._words

    async def _subscribe(self, image: Image) -> str:
        options = self._options
        nodes = [node for node, _ in image.nodes if isinstance(node, Node)]
        self._latency_s = 0.0
        refused = dict.fromkeys(range(len(nodes)), "")
        if options.mode is Mode.SUBSCRIBE and nodes:
            terms = Terms(
                options.publishing_s,
                options.sampling_s,
                options.queue_size,
                options.trigger is Trigger.TIMESTAMP,
                options.timeout_s,
            )
            try:
                granted = await image.session.subscribe(nodes, terms, image)
            except OpcUaRefusedError as error:
                refused = dict.fromkeys(refused, status_name(error.code))
            else:
                if granted is not None:
                    refused, self._latency_s = granted.refused, granted.latency_s
        image.unreported = {image.found[place] for place in refused}
        reasons = sorted({reason for reason in refused.values() if reason})
        return f"{len(refused)} points are asked for and not reported: {', '.join(reasons)}" if reasons else ""

    async def _see_restart(self, image: Image) -> str:
        if self._start_counter.position is None:
            return ""
        try:
            node, codec = image.target(self._start_counter.position)
        except ValueError as missing:
            return f"start counter not readable: {missing}"
        sample = (await image.session.read([node]))[0]
        value, quality = codec.decode(sample.value, sample.status)
        if not is_good(quality):
            return f"start counter not readable: {status_name(quality)}"
        return self._start_counter.take_up(value)

    def _places_of_watchdog(self) -> list[Place]:
        watchdog = self._options.watchdog
        return [Place(node) for node in (self._options.heartbeat, watchdog.node if watchdog else None) if node]

    async def _take_up_watchdog(self, session: OpcUaSession, nodes: Sequence[Node | Missing]) -> list[str]:
        words = []
        self._heartbeat, self._watchdog, self._watchdog_trouble = None, None, ""
        left = list(nodes)
        if self._options.heartbeat is not None:
            node = left.pop(0)
            if isinstance(node, Missing):
                words.append(f"heartbeat: {node.reason}")
            elif next_beat(node.type, 0) is None:
                words.append(f"heartbeat: a {node.type} cannot be counted")
            else:
                self._heartbeat, self._beat = node, (await session.read([node]))[0].value
        if self._options.watchdog is not None:
            self._watchdog = left.pop(0)
            self._watchdog_trouble = await self._set_watchdog(session)
            words.append(self._watchdog_trouble)
        return words

    async def _set_watchdog(self, session: OpcUaSession) -> str:
        """Write the watchdog time unless the device has it already; returns what went wrong, in words."""
        watchdog, node = self._options.watchdog, self._watchdog
        if watchdog is None or node is None:
            return ""
        if isinstance(node, Missing):
            return f"watchdog time not set: {node.reason}"
        try:
            raw = Codec.of(node.type, OpcUaPoint(node=watchdog.node, scale=watchdog.scale)).encode(watchdog.seconds)
        except ValueError as misfit:
            return f"watchdog time not set: {misfit}"
        sample = (await session.read([node]))[0]
        if is_good(sample.status) and sample.value == raw:
            return ""
        status = (await session.write([(node, raw)]))[0]
        return "" if is_good(status) else f"watchdog time not set: {status_name(status)}"

    # -- asking ----------------------------------------------------------------------------------------------------

    async def _ask(
        self,
        image: Image,
        request: Callable[[OpcUaSession], Awaitable[R]],
        urgency: Urgency,
        deadline: float | None = None,
        *,
        outcome: bool = False,
    ) -> R:
        async def on_its_session(session: OpcUaSession) -> R:
            if session is not image.session:  # its nodes have other namespace indices
                raise NotSentError("the connection was made anew")
            return await request(session)

        until = _now() + self._options.timeout_s if deadline is None else deadline
        return await self._connection.ask(on_its_session, urgency, until, outcome=outcome)

    async def _ask_for(self, image: Image, positions: Sequence[int]) -> dict[int, int]:
        """Ask for points; the quality of those that did not answer."""
        deadline = _now() + self._options.timeout_s
        bad: dict[int, int] = {}
        failure = 0
        for start in range(0, len(positions), self._options.max_nodes):
            part = tuple(positions[start : start + self._options.max_nodes])
            if not failure:
                try:
                    await self._ask(image, _question(image, part), Urgency.READ, deadline)
                    continue
                except OpcUaRefusedError as refused:
                    bad |= dict.fromkeys(part, refused.code)
                    continue
                except UNANSWERED as error:
                    failure = self._quality_of(error)
            bad |= dict.fromkeys(part, failure)
        return bad

    async def _write_part(
        self, image: Image, part: Sequence[tuple[str, int, Node, object]], deadline: float
    ) -> list[WriteResult]:
        positions = [position for _, position, _, _ in part]
        pairs = [(node, value) for _, _, node, value in part]
        image.ask_until(positions, math.inf)
        grace_s = self._options.timeout_s  # of a request whose asker was cancelled
        try:
            statuses = await self._ask(
                image, lambda session: session.write(pairs), Urgency.WRITE, deadline, outcome=True
            )
            grace_s = 0.0
        except OpcUaRefusedError as refused:
            grace_s = 0.0
            return [_result(refused.code)] * len(part)
        except NotSentError as error:
            grace_s = 0.0
            return [WriteResult(Outcome.REJECTED, f"not sent: {error}")] * len(part)
        except LinkLostError as error:
            return [WriteResult(Outcome.UNKNOWN, str(error))] * len(part)
        finally:
            image.ask_until(positions, _now() + self._latency_s + grace_s)
        return [_result(status) for status in statuses]

    # -- the rest --------------------------------------------------------------------------------------------------

    def _watch_starts(self, value: FloatArray, quality: QualityArray) -> None:
        """A device that restarted has lost its watchdog time: connect anew, which sets it."""
        if words := self._start_counter.watch(value, quality):
            self._connection.drop(words)

    def _lost_quality(self, failures: Iterable[int]) -> int:
        """The quality of all points after a link was lost: what was seen of the loss."""
        return next((code for code in failures if code in (BAD_TIMEOUT, BAD_DECODING)), self._unread_quality())


def _question(image: Image, positions: tuple[int, ...]) -> Callable[[OpcUaSession], Awaitable[None]]:
    nodes = image.group(positions)

    async def ask(session: OpcUaSession) -> None:
        asked_at = _now()
        image.asking(positions)
        image.take(positions, await session.read(nodes), asked_at)

    return ask


def _result(status: int) -> WriteResult:
    code = status & 0xFFFF_0000
    words = f"the server answered: {status_name(status)}"
    if is_good(status) and code != _COMPLETES_LATER:
        return WriteResult(Outcome.CONFIRMED)
    unknown = code in _MAY_LAND or not is_bad(status)
    return WriteResult(Outcome.UNKNOWN if unknown else Outcome.REJECTED, words)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _entrance(options: OpcUaOptions) -> Entrance:
    """Where the server is and who we are, read from the files that the options name."""
    if options.user_certificate is not None and options.user_key is not None:
        user = User.certified(options.user_certificate, options.user_key)
    else:
        user = User(options.user, password_of(options), options.password_in_clear)
    security = None if options.security is None else Credentials.of(options.security)
    return Entrance(options.url, options.namespace, options.timeout_s, user, options.max_nodes, security)
