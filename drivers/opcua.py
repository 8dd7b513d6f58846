"""OPC UA: variables of a server as tags, reported by subscription, written in groups, and the server's watchdog."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Final, TypeVar

import numpy as np

from drivers.connection import (
    Connection,
    LinkLostError,
    NotSentError,
    SilentError,
    UnreadableError,
    Urgency,
)
from drivers.driver import BoundPoint, Link, LinkState, Model, Outcome, WriteResult
from drivers.opcua_client import Entrance, TcpOpcUaSession
from drivers.opcua_image import Counts, Image
from drivers.opcua_messages import status_name
from drivers.opcua_options import Mode, OpcUaOptions, Trigger, password_of
from drivers.opcua_points import Codec, OpcUaPoint, Place, next_beat
from drivers.opcua_session import Missing, Node, OpcUaRefusedError, OpcUaSession, Terms
from evcontrol.clock import Clock
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_NOT_CONNECTED,
    BAD_TIMEOUT,
    QualityArray,
    is_bad,
    is_good,
)
from evcontrol.signals import FloatArray, Frame

R = TypeVar("R")

_COMPLETES_LATER: Final = 0x002E_0000
"""Good_CompletesAsynchronously (OPC 10000-4, 7.39.2), as the codes below."""
_MAY_LAND: Final = frozenset({0x8001_0000, 0x8005_0000, 0x800A_0000, 0x8085_0000})
"""Bad_UnexpectedError, Bad_CommunicationError, Bad_Timeout, Bad_RequestTimeout: the server has asked a device behind it
and does not know what came of it."""


class OpcUaDriver:
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
        if not isinstance(options, OpcUaOptions):
            raise TypeError(f"device {name}: options are {type(options).__name__}, not OpcUaOptions")
        self._name = name
        self._options = options
        self._clock = clock
        self.connect: Callable[[OpcUaOptions], Awaitable[OpcUaSession]] = connect or _connect_tcp
        self.on_link = on_link
        self._bound = tuple(points)
        self._points = [_opcua_point(name, bound) for bound in points]
        self._index = np.array([bound.tag.index for bound in points], dtype=np.int32)
        self._position = {bound.tag.name: i for i, bound in enumerate(points)}
        self._start_position = self._position_of_start_counter()
        self._starts: float | None = None
        self.counts = Counts()
        self._image: Image | None = None
        self._latency_s = 0.0
        self._heartbeat: Node | None = None
        self._beat: object = None
        self._watchdog: Node | Missing | None = None
        self._watchdog_trouble = ""
        self._connection: Connection[OpcUaSession] = Connection(
            clock, self._open, self._handshake, options.timeout_s, self._tell_link
        )

    @property
    def name(self) -> str:
        """The device's name in the plant file."""
        return self._name

    @property
    def link(self) -> Link:
        """How the connection is now; the reason of a READY link names points that the server does not have."""
        return self._connection.link

    async def start(self) -> None:
        """Begin connecting in the background; returns at once."""
        self._connection.start()

    async def stop(self) -> None:
        """Close the session; pending writes end as UNKNOWN."""
        await self._connection.stop()

    async def read(self) -> Frame:
        """The latest reading of every point, and an answer of now from those that must be asked for."""
        image = self._image
        bad: dict[int, int] = {}
        if image is not None and self._connection.ready:
            bad = await self._ask_for(image, image.to_ask())
        now = self._clock.now()
        if image is None or image is not self._image or image.lost() or not self._connection.ready:
            quality = np.full(len(self._points), self._unread_quality(bad.values()), dtype=np.uint32)
            value, source_t = np.full(len(self._points), np.nan), np.full(len(self._points), now, dtype=np.int64)
        else:
            value, quality, source_t = image.value.copy(), image.quality.copy(), image.source_t(now)
            for position, code in bad.items():
                value[position], quality[position], source_t[position] = np.nan, code, now
            self._watch_starts(value, quality)
        return Frame(now, self._clock.wall(), self._name, self._index, value, quality, source_t)

    async def write(self, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        """Write values, in one request unless they are more than it may carry.

        All values are checked before the first is sent. After an UNKNOWN outcome nothing more is sent. Whatever became
        of them, the points are asked for until what the server reports must be younger than the write.
        """
        for tag in values:
            if not self._point(tag).writable:
                raise KeyError(f"tag {tag} of device {self._name} is not writable")
        image = self._image
        if image is None or not self._connection.ready:
            return _all(values, Outcome.REJECTED, f"not connected: {self.link.reason}")
        targets: list[tuple[str, int, Node, object]] = []
        for tag, value in values.items():
            try:
                node, codec = image.target(self._position[tag])
                targets.append((tag, self._position[tag], node, codec.encode(value)))
            except ValueError as misfit:
                return _all(values, Outcome.REJECTED, f"not sent: {tag}: {misfit}") | {
                    tag: WriteResult(Outcome.REJECTED, str(misfit))
                }
        deadline = _now() + self._options.timeout_s
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

    async def _open(self) -> OpcUaSession:
        return await self.connect(self._options)

    def _tell_link(self, link: Link) -> None:
        if self.on_link is not None:
            self.on_link(link)

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
        return "; ".join(filter(None, words))

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
        if self._start_position is None:
            return ""
        try:
            node, codec = image.target(self._start_position)
        except ValueError as missing:
            return f"start counter not readable: {missing}"
        sample = (await image.session.read([node]))[0]
        value, quality = codec.decode(sample.value, sample.status)
        if not is_good(quality):
            return f"start counter not readable: {status_name(quality)}"
        before, self._starts = self._starts, value
        if before is None or before == value:
            return ""
        return f"the device restarted (start counter {before:g} to {value:g})"

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
            part = positions[start : start + self._options.max_nodes]
            if not failure:
                try:
                    await self._ask(image, _question(image, part), Urgency.READ, deadline)
                    continue
                except OpcUaRefusedError as refused:
                    bad |= dict.fromkeys(part, refused.code)
                    continue
                except UnreadableError:
                    failure = BAD_DECODING
                except SilentError:
                    failure = BAD_TIMEOUT
                except LinkLostError:
                    failure = BAD_NOT_CONNECTED
                except NotSentError:
                    failure = BAD_TIMEOUT if self._connection.ready else BAD_NOT_CONNECTED
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
        position = self._start_position
        if position is None or not is_good(int(quality[position])) or value[position] == self._starts:
            return
        if self._starts is None:  # the hand-shake could not read it
            self._starts = float(value[position])
            return
        self._connection.drop(f"the device restarted (start counter {self._starts:g} to {value[position]:g})")

    def _point(self, tag: str) -> OpcUaPoint:
        position = self._position.get(tag)
        if position is None:
            raise KeyError(f"device {self._name} has no tag {tag}")
        return self._points[position]

    def _position_of_start_counter(self) -> int | None:
        tag = self._options.start_counter
        if tag is None:
            return None
        if tag not in self._position:
            raise ValueError(f"device {self._name}: start_counter {tag!r} is no tag of this device")
        return self._position[tag]

    def _unread_quality(self, failures: Iterable[int]) -> int:
        if self.link.state is LinkState.REFUSED:
            return BAD_CONFIGURATION
        return next((code for code in failures if code in (BAD_TIMEOUT, BAD_DECODING)), BAD_NOT_CONNECTED)


def _question(image: Image, positions: Sequence[int]) -> Callable[[OpcUaSession], Awaitable[None]]:
    nodes = [image.target(position)[0] for position in positions]

    async def ask(session: OpcUaSession) -> None:
        asked_at = _now()
        image.take(positions, await session.read(nodes), asked_at)

    return ask


def _result(status: int) -> WriteResult:
    code = status & 0xFFFF_0000
    words = f"the server answered: {status_name(status)}"
    if is_good(status) and code != _COMPLETES_LATER:
        return WriteResult(Outcome.CONFIRMED)
    unknown = code in _MAY_LAND or not is_bad(status)
    return WriteResult(Outcome.UNKNOWN if unknown else Outcome.REJECTED, words)


def _opcua_point(device: str, bound: BoundPoint) -> OpcUaPoint:
    if not isinstance(bound.point, OpcUaPoint):
        raise TypeError(f"device {device}, tag {bound.tag.name}: not an OpcUaPoint")
    return bound.point


def _all(values: Mapping[str, float], outcome: Outcome, reason: str) -> dict[str, WriteResult]:
    return dict.fromkeys(values, WriteResult(outcome, reason))


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _connect_tcp(options: OpcUaOptions) -> OpcUaSession:
    return await TcpOpcUaSession.open(
        Entrance(
            options.url, options.namespace, options.timeout_s, options.user, password_of(options), options.max_nodes
        )
    )
