"""Modbus TCP: registers and coils of one or several units as tags, in few requests, and their watchdogs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from drivers.connection import NotSentError, Urgency
from drivers.device import UNANSWERED, DeviceDriver, all_of, none_sent
from drivers.driver import BoundPoint, Link, LinkState, Model, Outcome, WriteResult
from drivers.modbus_blocks import Block, block_of, coalesce, unit_of
from drivers.modbus_client import ModbusClient, connect_tcp
from drivers.modbus_decode import PlanDecoder, TextCode
from drivers.modbus_options import LineOptions, ModbusOptions
from drivers.modbus_points import ModbusPoint, ValueType
from drivers.modbus_refusal import refusal_of
from drivers.modbus_scan import Scan
from drivers.modbus_telegram import ModbusRefusedError, Request
from drivers.modbus_unit import Unit
from drivers.modbus_units import UnitAwayError, Units
from drivers.modbus_write import MisfitError, WriteGroup, write_groups
from drivers.start_counter import StartCounter
from evcontrol.clock import Clock
from evcontrol.quality import QualityArray
from evcontrol.signals import FloatArray, Frame, TagKind

Connect = Callable[[LineOptions], Awaitable[ModbusClient]]


class ModbusDriver(DeviceDriver[ModbusClient, LineOptions, ModbusPoint]):
    """A Modbus TCP device, or several units behind a gateway (see :class:`drivers.driver.Driver`).

    ``connect`` makes the connection and is replaced for devices in this process (``modbus_client.in_process``). A
    write waits its turn for one time-out at the most and then takes one more at the most. ValueError when a start
    counter is no tag of this device, when options are given for a unit without points, and for a tag that does not
    fit its point.
    """

    options_model: ClassVar[type[Model]] = ModbusOptions
    point_model: ClassVar[type[Model]] = ModbusPoint

    def __init__(
        self,
        name: str,
        options: Model,
        points: Sequence[BoundPoint],
        clock: Clock,
        *,
        connect: Connect | None = None,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        super().__init__(name, options, points, clock, on_link=on_link)
        self.connect: Connect = connect or self._connect
        self._texts = {i: _text_code(name, bound) for i, bound in enumerate(self._bound) if _is_text(name, bound)}
        self._units = self._units_of_line()
        self._told = ""
        self._blank = self._unread()
        self._decoder: tuple[list[Block], PlanDecoder] = ([], PlanDecoder(self._points, []))

    @property
    def link(self) -> Link:
        """How the connection is now; the reason of a READY link says which units do not answer or were restarted."""
        return self._with_words(self._connection.link)

    async def read(self) -> Frame:
        """Read every point once, within the time-out."""
        if not self._connection.ready:
            return self._frame(*self._unread())
        value, quality = self._blank[0].copy(), self._blank[1].copy()
        deadline = self._deadline()
        scan = Scan(self._points, self._units, deadline, self._pressed)
        await self._scanned(scan, deadline)
        self._decode(scan, value, quality)
        self._watch_starts(value, quality)
        self._tell_words()
        return self._frame(value, quality)

    async def feed_watchdog(self) -> bool:
        """Change the heartbeats; whether all units took theirs and have the watchdog time that they should have."""
        deadline = self._deadline()
        fed = [await self._fed(unit, deadline) for unit in self._units.all if unit.fed]
        self._tell_words()
        return bool(fed) and all(fed)

    async def _open(self) -> ModbusClient:
        return await self.connect(self._options)

    async def _connect(self, options: LineOptions) -> ModbusClient:
        if not isinstance(options, ModbusOptions):
            raise TypeError(f"device {self._name}: no host to connect to")
        return await connect_tcp(options.host, options.port)

    async def _handshake(self, session: ModbusClient) -> str:
        await self._units.handshake(session)
        self._told = self._units.words
        return self._told

    async def _send(self, values: Mapping[str, float], deadline: float) -> Mapping[str, WriteResult]:
        """Adjacent registers and coils go in one request; after an UNKNOWN outcome nothing more is sent."""
        placed = {tag: (self._points[self._position[tag]], value) for tag, value in values.items()}
        try:
            groups = write_groups(placed, self._options.max_registers, unit_id=self._options.unit_id)
        except MisfitError as misfit:
            return none_sent(values, misfit.tag, misfit.reason)
        results: dict[str, WriteResult] = {}
        stopped = ""
        for group in groups:
            result = (
                WriteResult(Outcome.REJECTED, f"not sent: {stopped}")
                if stopped
                else await self._write_group(group, deadline)
            )
            if result.outcome is Outcome.UNKNOWN:
                stopped = f"the outcome of an earlier write is unknown ({result.reason})"
            results |= all_of(group.tags, result.outcome, result.reason)
        self._tell_words()
        return results

    async def _scanned(self, scan: Scan, deadline: float) -> None:
        try:
            while not scan.over:
                await self._connection.ask_here(scan.run, Urgency.READ, deadline)
        except UNANSWERED as error:
            scan.end(self._quality_of(error))
        finally:
            scan.over = True

    def _decode(self, scan: Scan, value: FloatArray, quality: QualityArray) -> None:
        plan = [block for unit in self._units.all for block in unit.plan]
        if plan != self._decoder[0]:
            self._decoder = (plan, PlanDecoder(self._points, plan, self._texts))
        self._decoder[1].decode([scan.answers.get(block) for block in plan], value, quality)
        for block, failure in scan.failures.items():
            quality[list(block.members)] = failure

    def _watch_starts(self, value: FloatArray, quality: QualityArray) -> None:
        """A controller that restarted has lost its watchdog time: take it up anew, which sets it."""
        for unit in self._units.all:
            if unit.answering and (words := unit.starts.watch(value, quality)):
                if len(self._units.all) == 1:
                    self._connection.drop(words)
                else:
                    unit.take_up(words)

    async def _fed(self, unit: Unit, deadline: float) -> bool:
        async def feed(client: ModbusClient) -> bool:
            return unit.answering and await unit.feed(partial(self._units.ask, client, unit))

        try:
            return await self._connection.ask(feed, Urgency.HEARTBEAT, deadline)
        except (*UNANSWERED, UnitAwayError):
            return False

    async def _write_group(self, group: WriteGroup, deadline: float) -> WriteResult:
        unit, request = self._units[group.unit], group.request
        try:
            return await self._written(lambda client: self._write(client, unit, request), deadline)
        except ModbusRefusedError as refused:
            refusal = refusal_of(refused.code)
            return WriteResult(refusal.outcome, f"the device answered: {refusal.words}")
        except UnitAwayError as away:
            return WriteResult(away.outcome, f"unit {unit.number}: {away}")

    async def _write(self, client: ModbusClient, unit: Unit, request: Request) -> None:
        if not unit.answering:
            raise NotSentError(f"unit {unit.number}: {unit.words or 'not heard yet'}")
        await self._units.ask(client, unit, request)

    def _pressed(self) -> bool:
        return self._connection.pressed(Urgency.READ)

    def _tell_words(self) -> None:
        """What the units say may change while the link stays as it is."""
        if self._connection.ready and self._units.words != self._told:
            self._told = self._units.words
            asyncio.get_running_loop().call_soon(self._tell_link, self._connection.link)

    def _tell_link(self, link: Link) -> None:
        super()._tell_link(self._with_words(link))

    def _with_words(self, link: Link) -> Link:
        return Link(link.state, self._units.words, link.since) if link.state is LinkState.READY else link

    def _units_of_line(self) -> Units:
        options = self._options
        blocks = coalesce(
            self._points, options.max_registers, options.max_bits, options.max_gap, unit_id=options.unit_id
        )
        numbers = list(dict.fromkeys(unit_of(point, options.unit_id) for point in self._points))
        if options.unit_id not in numbers and (not numbers or options.heartbeat is not None):
            numbers.append(options.unit_id)
        looked_after = [
            *(options.units or ()),
            *([options.unit_id] if options.watchdog or options.start_counter else []),
        ]
        for number in looked_after:
            if number not in numbers:
                raise ValueError(f"device {self._name}: unit {number} has options, and no points")
        units = [self._unit(number, [block for block in blocks if block.unit == number]) for number in numbers]
        return Units(units, options.answer_s(len(units)))

    def _unit(self, number: int, blocks: list[Block]) -> Unit:
        options = self._options.of_unit(number)
        starts = StartCounter(self._name, options.start_counter, self._position)
        if starts.position is None:
            return Unit(number, options, blocks, starts, None)
        point = self._points[starts.position]
        if unit_of(point, self._options.unit_id) != number:
            raise ValueError(f"device {self._name}: start_counter {options.start_counter!r} is none of unit {number}")
        return Unit(number, options, blocks, starts, (point, block_of(point, 0, number)))


def _is_text(device: str, bound: BoundPoint) -> bool:
    """Whether a point is a string; ValueError when that does not fit its tag."""
    string = isinstance(bound.point, ModbusPoint) and bound.point.type is ValueType.STRING
    if string and bound.tag.kind is not TagKind.TEXT and not bound.tag.labels:
        raise ValueError(f"device {device}, tag {bound.tag.name}: a string fits only a text, or a tag with labels")
    if not string and bound.tag.kind is TagKind.TEXT:
        raise ValueError(f"device {device}, tag {bound.tag.name}: a text needs type string")
    return string


def _text_code(device: str, bound: BoundPoint) -> TextCode:
    if bound.tag.kind is TagKind.TEXT:
        return bound.code_of
    labels = bound.tag.labels
    return lambda text: float(labels.index(text))
