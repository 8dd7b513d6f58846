"""Several instruments on one serial line, each at its address: the silence or the wrong identity of one is its own.

Every instrument is asked one after the other, within the device's time-out for all. One that did not answer, or is not
the right one, has Bad readings and takes no writes, and of those one is tried again in each scan, so that a pump that
is switched off costs the others no more than one wait. When none answers, the link is lost.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Generic, Protocol, Self, TypeVar

from pydantic import Field, model_validator

from drivers.connection import LinkLostError, LinkRefusedError, NotSentError, Urgency
from drivers.device import UNANSWERED, DeviceDriver, all_of, none_sent
from drivers.driver import BoundPoint, Link, Model, Outcome, WriteResult
from drivers.framing import Framing
from drivers.line import Skip, skip_none
from drivers.serial_options import SerialOptions
from drivers.transport import Line, open_line
from evcontrol.clock import Clock
from evcontrol.quality import BAD_CONFIGURATION, BAD_DECODING, BAD_TIMEOUT
from evcontrol.signals import Frame

Reading = tuple[float, int]
"""Value and quality."""


class NoAnswerError(Exception):
    """One instrument did not answer in time; the line and the others may be well."""


class UnreadableAnswerError(Exception):
    """One instrument sent what its protocol does not allow."""


class MisfitError(Exception):
    """It is not the instrument that belongs at this address; the message says why."""


FAILURES: Final = (NoAnswerError, UnreadableAnswerError, MisfitError)
"""What asking one instrument raises when the line itself is well."""


class Bus:
    """A line on which every answer has to come within ``answer_s``.

    Instruments answer in the order in which they were asked. An answer that comes too late would be taken for that to
    the next question of the same kind, and so would every one after it. So as long as the line is not ``in_step``, a
    question of another kind comes first, whose answer cannot be mistaken: what was asked before it is over then.
    """

    def __init__(self, line: Line, answer_s: float) -> None:
        self.line = line
        self._answer_s = answer_s
        self.in_step = False

    async def ask(self, data: bytes, framing: Framing, skip: Skip = skip_none) -> bytes:
        """Send, and return the first telegram that is not to be skipped; NoAnswerError when none comes in time."""
        self.in_step = False
        try:
            async with asyncio.timeout(self._answer_s):
                answer = await self.line.request(data, framing, skip)
        except TimeoutError:
            raise NoAnswerError(f"no answer within {self._answer_s:g} s") from None
        self.in_step = True
        return answer

    async def get_into_step(self, data: bytes, framing: Framing, is_answer: Callable[[bytes], bool]) -> None:
        """Where the line is not in step, ask this and wait for its answer, passing over all that is none."""
        if not self.in_step:
            await self.ask(data, framing, lambda got: not is_answer(got))

    def unreadable(self, words: str) -> UnreadableAnswerError:
        """What to raise for an answer that is none; nothing after it can be trusted."""
        self.in_step = False
        return UnreadableAnswerError(words)

    async def send(self, data: bytes) -> None:
        """Send what is not answered."""
        await self.line.send(data)


class Station(Protocol):
    """One instrument at its address, as its driver sees it.

    All methods that ask may raise NoAnswerError and UnreadableAnswerError, and ``LinkLostError`` as the line
    does.
    """

    def bind(self, device: str, bound: BoundPoint, field: str) -> None:
        """Take a tag of it; ValueError when the tag's unit is none that its field can have."""

    async def identify(self, bus: Bus) -> str:
        """See that it is the right one, by questions only; what to say of it. MisfitError when it is not."""

    async def read(self, bus: Bus) -> Mapping[str, Reading]:
        """Its readings by field; MisfitError when it is another one now."""

    def mistake(self, values: Mapping[str, float]) -> tuple[str, str] | None:
        """The first field whose value cannot be sent, and why."""

    def is_urgent(self, values: Mapping[str, float]) -> bool:
        """Whether these are sent also to an instrument that did not answer last, and after an UNKNOWN outcome."""

    async def write(self, bus: Bus, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        """Write fields, each read back; raises nothing but what the line does.

        What was not sent is REJECTED; what was, and is not confirmed, UNKNOWN.
        """


class MultidropOptions(SerialOptions):
    """A line with several instruments."""

    timeout_s: Annotated[float, Field(gt=0, le=10)] = 2.0
    """Real seconds within which all instruments must have answered."""
    answer_s: Annotated[float, Field(gt=0, le=5)] = 0.25
    """Real seconds within which one answer must come."""

    @model_validator(mode="after")
    def _answers_fit(self) -> Self:
        if self.answer_s * 2 > self.timeout_s:
            raise ValueError("timeout_s is for all instruments: it must be at least twice answer_s")
        return self


_QUALITIES: Final = (
    (NoAnswerError, BAD_TIMEOUT),
    (UnreadableAnswerError, BAD_DECODING),
    (MisfitError, BAD_CONFIGURATION),
)

O = TypeVar("O", bound=MultidropOptions)  # noqa: E741  (options)
P = TypeVar("P", bound=Model)


@dataclass(slots=True)
class _Member:
    """One instrument: the positions of its points by field, and what is wrong with it now."""

    station: Station
    positions: dict[str, list[int]]
    trouble: str = "not asked yet"
    quality: int = BAD_TIMEOUT
    """Of its readings while it gives none."""

    @property
    def places(self) -> list[int]:
        """The positions of all its points."""
        return [position for positions in self.positions.values() for position in positions]


class MultidropDriver(DeviceDriver[Line, O, P], Generic[O, P]):
    """A driver for instruments with addresses on one line. ``connect`` opens the line, and is replaced in tests.

    ValueError for a point at an address that the options do not have, or with a unit that its field cannot have.
    """

    silence_s = 0.0
    """The least time between a telegram and the next command."""

    def __init__(
        self,
        name: str,
        options: Model,
        points: Sequence[BoundPoint],
        clock: Clock,
        *,
        connect: Callable[[O], Awaitable[Line]] | None = None,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        super().__init__(name, options, points, clock, on_link=on_link)
        self.connect: Callable[[O], Awaitable[Line]] = connect or self._open_line
        self._bus: Bus | None = None
        self._members = {address: _Member(station, {}) for address, station in self._stations().items()}
        for position, bound in enumerate(self._bound):
            address, field = self._place(position)
            if address not in self._members:
                raise ValueError(f"device {name}, tag {bound.tag.name}: the options have no instrument {address}")
            self._members[address].station.bind(name, bound, field)
            self._members[address].positions.setdefault(field, []).append(position)

    @abstractmethod
    def _stations(self) -> Mapping[Hashable, Station]:
        """The instruments by address, made of the options."""

    @abstractmethod
    def _place(self, position: int) -> tuple[Hashable, str]:
        """Address and field of a point."""

    async def read(self) -> Frame:
        """Ask every instrument that answered last, and one of the others."""
        value, quality = self._unread()
        if not self._connection.ready:
            return self._frame(value, quality)
        for member in self._members.values():
            quality[member.places] = member.quality
        deadline = self._deadline()
        turn = self._turn()
        for number, member in enumerate(turn):
            try:
                readings = await self._connection.ask(self._reading(member), Urgency.READ, deadline)
            except UNANSWERED as error:
                lost = isinstance(error, LinkLostError)
                for one in turn[number:] if lost else [member]:
                    quality[one.places] = self._quality_of(error)
                if lost:
                    break
                continue
            quality[member.places] = member.quality
            for field, (told, how) in readings.items():
                places = member.positions.get(field, [])
                value[places], quality[places] = told, how
        if self._connection.ready and all(member.trouble for member in self._members.values()):
            self._connection.drop(f"no instrument answers: {self._troubles()}")
        return self._frame(value, quality)

    async def _open(self) -> Line:
        return await self.connect(self._options)

    async def _open_line(self, options: O) -> Line:
        return await open_line(options, self.silence_s)

    async def _handshake(self, line: Line) -> str:
        """Ask every instrument who it is; the line is ready when one of them is right."""
        bus = self._bus_of(line)
        words = [f"{address}: {await self._look(member, bus)}" for address, member in self._members.items()]
        members = self._members.values()
        if any(not member.trouble for member in members):
            return "; ".join(words)
        if any(member.quality == BAD_CONFIGURATION for member in members):
            raise LinkRefusedError("; ".join(words))
        raise LinkLostError("; ".join(words))

    async def _look(self, member: _Member, bus: Bus) -> str:
        """Ask an instrument who it is; what to say of it."""
        try:
            words = await member.station.identify(bus)
        except FAILURES as error:
            _blame(member, error)
            return member.trouble
        member.trouble = ""
        return words

    def _reading(self, member: _Member) -> Callable[[Line], Awaitable[Mapping[str, Reading]]]:
        async def reading(line: Line) -> Mapping[str, Reading]:
            bus = self._bus_of(line)
            if member.trouble:
                await self._look(member, bus)
            if member.trouble:
                return {}
            try:
                return await member.station.read(bus)
            except (NoAnswerError, MisfitError) as error:
                _blame(member, error)
            except UnreadableAnswerError:
                member.quality = BAD_DECODING
            return {}

        return reading

    def _bus_of(self, line: Line) -> Bus:
        """The line as it was left by who asked last."""
        if self._bus is None or self._bus.line is not line:
            self._bus = Bus(line, self._options.answer_s)
        return self._bus

    def _turn(self) -> list[_Member]:
        """Who is asked in this scan: those that answered, then one that did not, which then goes to the end."""
        well = [member for member in self._members.values() if not member.trouble]
        ill = [address for address, member in self._members.items() if member.trouble]
        if ill:
            self._members[ill[0]] = self._members.pop(ill[0])
            well.append(self._members[ill[0]])
        return well

    def _troubles(self) -> str:
        return "; ".join(f"{address}: {member.trouble}" for address, member in self._members.items())

    async def _send(self, values: Mapping[str, float], deadline: float) -> Mapping[str, WriteResult]:
        """Instrument by instrument, first those that answered last.

        After an UNKNOWN outcome nothing more is sent but what is urgent.
        """
        groups: dict[Hashable, dict[str, str]] = {}
        for tag in values:
            address, field = self._place(self._position[tag])
            if field in groups.setdefault(address, {}):
                return none_sent(values, tag, f"{field} of instrument {address} is written twice")
            groups[address][field] = tag
        for address, tags in groups.items():
            wrong = self._members[address].station.mistake({field: values[tag] for field, tag in tags.items()})
            if wrong is not None:
                return none_sent(values, tags[wrong[0]], wrong[1])
        results: dict[str, WriteResult] = {}
        stopped = ""
        for address, tags in sorted(groups.items(), key=lambda group: bool(self._members[group[0]].trouble)):
            fields = {field: values[tag] for field, tag in tags.items()}
            if stopped and not self._members[address].station.is_urgent(fields):
                results |= all_of(tags.values(), Outcome.REJECTED, f"not sent: {stopped}")
                continue
            done = await self._write_to(address, fields, deadline)
            results |= {tag: done[field] for field, tag in tags.items()}
            if any(result.outcome is Outcome.UNKNOWN for result in done.values()):
                stopped = f"the outcome of an earlier write, to instrument {address}, is unknown"
        return results

    async def _write_to(
        self, address: Hashable, values: Mapping[str, float], deadline: float
    ) -> Mapping[str, WriteResult]:
        member = self._members[address]
        urgent = member.quality != BAD_CONFIGURATION and member.station.is_urgent(values)
        if member.trouble and not urgent:
            return all_of(values, Outcome.REJECTED, f"not sent: instrument {address}: {member.trouble}")
        try:
            return await self._connection.ask(
                lambda line: member.station.write(self._bus_of(line), values), Urgency.WRITE, deadline, outcome=True
            )
        except NotSentError as error:
            return all_of(values, Outcome.REJECTED, f"not sent: {error}")
        except LinkLostError as error:
            return all_of(values, Outcome.UNKNOWN, str(error))


def _blame(member: _Member, error: Exception) -> None:
    member.trouble = str(error)
    member.quality = next(quality for kind, quality in _QUALITIES if isinstance(error, kind))
