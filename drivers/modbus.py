"""Modbus TCP: registers and coils as tags, coalesced reads, grouped writes, and the controller's watchdog."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
from pydantic import Field, model_validator

from drivers.connection import (
    LinkLostError,
    NotSentError,
    Urgency,
    answer_within,
)
from drivers.device import UNANSWERED, DeviceDriver, all_of
from drivers.driver import BoundPoint, Link, Model, Outcome, WriteResult
from drivers.modbus_client import ModbusClient, ModbusRefusedError, connect_tcp
from drivers.modbus_points import Block, BlockDecoder, ModbusPoint, Table, apart, coalesce
from drivers.modbus_write import MisfitError, WriteGroup, write_groups
from drivers.start_counter import StartCounter
from evcontrol.clock import Clock
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DEVICE_FAILURE,
    BAD_NO_COMMUNICATION,
    BAD_NOT_CONNECTED,
    GOOD,
    QualityArray,
)
from evcontrol.signals import FloatArray, Frame


class Watchdog(Model):
    """A holding register with the time after which the controller goes to its safe state unless it is fed."""

    address: Annotated[int, Field(ge=0, le=65535)]
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Seconds per count."""
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Seconds of process time."""

    @model_validator(mode="after")
    def _fits_a_register(self) -> Watchdog:
        if not 1 <= self.seconds / self.scale <= 65535:
            raise ValueError("seconds / scale must lie between 1 and 65535: the time goes into one register")
        return self

    @property
    def raw(self) -> int:
        """What the register should hold."""
        return round(self.seconds / self.scale)


class ModbusOptions(Model):
    """A Modbus TCP device, or one unit behind a gateway."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    unit_id: Annotated[int, Field(ge=0, le=255)] = 1
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 0.5
    """Real seconds within which every answer must come."""
    max_registers: Annotated[int, Field(ge=4, le=125)] = 125
    """Most registers in one request."""
    max_bits: Annotated[int, Field(ge=1, le=2000)] = 2000
    """Most coils or discrete inputs in one read."""
    max_gap: Annotated[int, Field(ge=0, le=120)] = 0
    """Addresses without a tag that one read may pass over, on devices that allow them to be read."""
    heartbeat: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Holding register (uint16) of which any change feeds the controller's watchdog."""
    watchdog: Watchdog | None = None
    """Watchdog time that is written on every connect, when the controller does not have it already."""
    start_counter: str | None = None
    """Tag that goes up at each start of the controller."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an exception code says, what it makes of a reading and of a write."""

    words: str
    quality: int
    outcome: Outcome = Outcome.REJECTED


REFUSALS: Final[Mapping[int, Refusal]] = {
    1: Refusal("illegal function", BAD_CONFIGURATION),
    2: Refusal("illegal address", BAD_CONFIGURATION),
    3: Refusal("illegal value", BAD_CONFIGURATION),
    4: Refusal("device failure", BAD_DEVICE_FAILURE),
    5: Refusal("accepted, and still at work on it", BAD_DEVICE_FAILURE, Outcome.UNKNOWN),
    6: Refusal("device busy", BAD_DEVICE_FAILURE),
    7: Refusal("negative acknowledgement", BAD_DEVICE_FAILURE),
    8: Refusal("memory parity error", BAD_DEVICE_FAILURE),
    10: Refusal("the gateway has no path to the device", BAD_NO_COMMUNICATION),
    11: Refusal("the device behind the gateway does not answer", BAD_NO_COMMUNICATION, Outcome.UNKNOWN),
}
"""Exception codes (Modbus Application Protocol V1.1b3, 7)."""

_SPLIT_CODES: Final = frozenset({2, 3})
"""Refusals that one address among many can cause."""
_READS: Final[Mapping[Table, Callable[[ModbusClient, int, int], Awaitable[Sequence[int]]]]] = {
    Table.INPUT: lambda client, address, count: client.read_input(address, count),
    Table.HOLDING: lambda client, address, count: client.read_holding(address, count),
    Table.COIL: lambda client, address, count: client.read_coils(address, count),
    Table.DISCRETE: lambda client, address, count: client.read_discrete(address, count),
}


class ModbusDriver(DeviceDriver[ModbusClient, ModbusOptions, ModbusPoint]):
    """A Modbus TCP device (see :class:`drivers.driver.Driver`).

    ``connect`` makes the connection and is replaced for devices in this process (``modbus_client.in_process``). A
    write waits its turn for one time-out at the most and then takes one more at the most. ValueError when the options
    name a start counter that is no tag of this device.
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
        connect: Callable[[ModbusOptions], Awaitable[ModbusClient]] | None = None,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        super().__init__(name, options, points, clock, on_link=on_link)
        self.connect: Callable[[ModbusOptions], Awaitable[ModbusClient]] = connect or _connect_tcp
        limits = self._options
        self._blocks = coalesce(self._points, limits.max_registers, limits.max_bits, limits.max_gap)
        self._plan = self._blocks
        self._decoders: dict[Block, BlockDecoder] = {}
        self._start_counter = StartCounter(name, self._options.start_counter, self._position)
        self._beat = 0
        self._watchdog_trouble = ""

    async def read(self) -> Frame:
        """Read every point once, within the time-out."""
        value, quality = self._unread()
        if self._connection.ready:
            await self._read_plan(value, quality)
            self._watch_starts(value, quality)
        return self._frame(value, quality)

    async def _send(self, values: Mapping[str, float], deadline: float) -> Mapping[str, WriteResult]:
        """Adjacent registers and coils go in one request; after an UNKNOWN outcome nothing more is sent."""
        try:
            groups = write_groups(
                {tag: (self._point(tag), value) for tag, value in values.items()}, self._options.max_registers
            )
        except MisfitError as misfit:
            return all_of(values, Outcome.REJECTED, f"not sent: {misfit}") | {
                misfit.tag: WriteResult(Outcome.REJECTED, str(misfit))
            }
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
        return results

    async def feed_watchdog(self) -> bool:
        """Change the heartbeat register; whether the device took it and has the watchdog time it should have."""
        address = self._options.heartbeat
        if address is None:
            return False
        self._beat = (self._beat + 1) % 2**16
        beat = self._beat
        try:
            await self._connection.ask(
                lambda client: client.write_registers(address, [beat]), Urgency.HEARTBEAT, self._deadline()
            )
            if self._watchdog_trouble:
                self._watchdog_trouble = await self._connection.ask(
                    self._set_watchdog, Urgency.HEARTBEAT, self._deadline()
                )
        except (NotSentError, LinkLostError, ModbusRefusedError):
            return False
        return not self._watchdog_trouble

    async def _open(self) -> ModbusClient:
        return await self.connect(self._options)

    async def _handshake(self, client: ModbusClient) -> str:
        """Find out that the device answers, whether it restarted, and give it its watchdog time."""
        self._plan = self._blocks
        await self._probe(client)
        words = [await self._see_restart(client)]
        if self._options.watchdog is not None:
            self._watchdog_trouble = await self._set_watchdog(client)
            words.append(self._watchdog_trouble)
        return "; ".join(filter(None, words))

    async def _probe(self, client: ModbusClient) -> None:
        """One read, of which any answer will do; the heartbeat goes on from where the register is."""
        heartbeat = self._options.heartbeat
        block = self._blocks[0] if self._blocks else None
        try:
            if heartbeat is not None:
                self._beat = (await self._within(client.read_holding(heartbeat, 1)))[0]
            elif block is not None:
                await self._within(_READS[block.table](client, block.address, block.count))
        except ModbusRefusedError:
            return

    async def _see_restart(self, client: ModbusClient) -> str:
        if self._start_counter.position is None:
            return ""
        point = self._points[self._start_counter.position]
        block = Block(point.table, point.address, point.width, (0,))
        value, quality = np.full(1, np.nan), np.full(1, BAD_NOT_CONNECTED, dtype=np.uint32)
        try:
            answer = await self._within(_READS[block.table](client, block.address, block.count))
        except ModbusRefusedError as refused:
            return f"start counter not readable: {_refusal(refused.code).words}"
        BlockDecoder([point], block).decode(answer, value, quality)
        if quality[0] != GOOD:
            return "start counter not readable: it is no number"
        return self._start_counter.take_up(float(value[0]))

    async def _set_watchdog(self, client: ModbusClient) -> str:
        """Write the watchdog time unless the controller has it already; returns what went wrong, in words."""
        watchdog = self._options.watchdog
        if watchdog is None:
            return ""
        try:
            if list(await self._within(client.read_holding(watchdog.address, 1))) != [watchdog.raw]:
                await self._within(client.write_registers(watchdog.address, [watchdog.raw]))
        except ModbusRefusedError as refused:
            return f"watchdog time not set: {_refusal(refused.code).words}"
        return ""

    async def _read_plan(self, value: FloatArray, quality: QualityArray) -> None:
        """Read block by block; a block that the device refuses is taken apart until the refused points are alone."""
        deadline = self._deadline()
        plan = self._plan
        todo, done = list(reversed(plan)), []
        failure = 0
        while todo and not failure:
            block = todo.pop()
            members = list(block.members)
            try:
                answer = await self._connection.ask(_reading(block), Urgency.READ, deadline)
            except ModbusRefusedError as refused:
                if refused.code in _SPLIT_CODES and len(members) > 1:
                    todo.extend(reversed(apart(self._points, block)))
                    continue
                quality[members] = _refusal(refused.code).quality
            except UNANSWERED as error:
                quality[members] = failure = self._quality_of(error)
            else:
                self._decoder(block).decode(answer, value, quality)
            done.append(block)
        for block in todo:
            quality[list(block.members)] = failure
        if self._plan is plan:
            self._plan = done + todo[::-1]

    def _decoder(self, block: Block) -> BlockDecoder:
        decoder = self._decoders.get(block)
        if decoder is None:
            decoder = self._decoders[block] = BlockDecoder(self._points, block)
        return decoder

    def _watch_starts(self, value: FloatArray, quality: QualityArray) -> None:
        """A controller that restarted has lost its watchdog time: connect anew, which sets it."""
        if words := self._start_counter.watch(value, quality):
            self._connection.drop(words)

    async def _write_group(self, group: WriteGroup, deadline: float) -> WriteResult:
        try:
            return await self._written(group.send, deadline)
        except ModbusRefusedError as refused:
            refusal = _refusal(refused.code)
            return WriteResult(refusal.outcome, f"the device answered: {refusal.words}")

    def _point(self, tag: str) -> ModbusPoint:
        return self._points[self._position[tag]]

    async def _within(self, answer: Awaitable[Sequence[int] | None]) -> Sequence[int]:
        return await answer_within(self._options.timeout_s, answer) or ()


def _reading(block: Block) -> Callable[[ModbusClient], Awaitable[Sequence[int]]]:
    read = _READS[block.table]
    return lambda client: read(client, block.address, block.count)


def _refusal(code: int) -> Refusal:
    return REFUSALS.get(code) or Refusal(f"exception {code}", BAD_DEVICE_FAILURE)


async def _connect_tcp(options: ModbusOptions) -> ModbusClient:
    return await connect_tcp(options.host, options.port, options.unit_id)
