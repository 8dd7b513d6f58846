"""NTA counters that take worklists from a folder and leave their exports in another, local or on a network drive.

A request is a worklist file; its result is the export for its sample. What of it is done stands in the archive and the
folders, never only in memory, so that a restart changes nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import Field

from drivers.connection import LinkLostError, Urgency, answer_within
from drivers.device import UNANSWERED, DeviceDriver, all_of
from drivers.driver import BoundPoint, Link, LinkState, Model, Outcome, WriteResult
from drivers.nta_ledger import Request
from drivers.nta_values import WRITABLE, NtaField, Reading, readings_of, readings_of_result, unit_of
from drivers.nta_watch import Folders, FolderWatch, NotPlacedError, Result, Seen
from drivers.worker import Worker
from evcontrol.clock import Clock
from evcontrol.quality import is_bad
from evcontrol.signals import Frame, TagKind
from evcontrol.units import converter, parse

BUDGET: Final = 0.25
"""Part of the time-out after which a look at many new files goes on in the next one."""


class Instrument(StrEnum):
    """Whose exports the counter leaves."""

    NANOSIGHT = "nanosight"
    ZETAVIEW = "zetaview"


PATTERNS: Final[Mapping[Instrument, str]] = {
    Instrument.NANOSIGHT: "*-ExperimentSummary.csv",
    Instrument.ZETAVIEW: "*_size_[0-9][0-9][0-9].txt",
}
"""Names of the exports: the experiment summaries; the size files, which end with the laser's wavelength."""
_MAKERS: Final[Mapping[Instrument, str]] = {Instrument.NANOSIGHT: "NanoSight", Instrument.ZETAVIEW: "ZetaView"}


class NtaFolderOptions(Model):
    """One counter's folders."""

    worklists: Annotated[str, Field(min_length=1)]
    """Where requests for counts are placed."""
    exports: Annotated[str, Field(min_length=1)]
    """Where the counter leaves its exports; nothing in it is changed."""
    archive: Annotated[str, Field(min_length=1)] | None = None
    """Where copies of the exports and the list of what was taken are kept; ``archive`` in ``exports`` by default."""
    instrument: Instrument = Instrument.NANOSIGHT
    """Whose exports they are; one of the other is refused."""
    pattern: Annotated[str, Field(min_length=1)] | None = None
    """Names of the exports; by default those that the instrument gives them (:data:`PATTERNS`)."""
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    """Real seconds within which the folders must answer."""
    poll_s: Annotated[float, Field(ge=0, le=10)] = 0.25
    """Real seconds between two looks."""
    settle_s: Annotated[float, Field(gt=0, le=600)] = 2.0
    """Real seconds for which a complete export must not have changed."""
    incomplete_after_s: Annotated[float, Field(gt=0)] = 600.0
    """Real seconds without a change after which an incomplete export is given up."""


class NtaFolderPoint(Model):
    """Which of a counter's values a tag is."""

    field: NtaField

    @property
    def writable(self) -> bool:
        """Whether it is part of a request."""
        return self.field in WRITABLE


class NtaFolderDriver(DeviceDriver["FolderSession", NtaFolderOptions, NtaFolderPoint]):
    """A counter behind its folders (see :class:`drivers.driver.Driver`).

    The five values of a request are written together. ValueError for a tag in a unit that its value does not have, or
    a text in a tag that is none.
    """

    options_model: ClassVar[type[Model]] = NtaFolderOptions
    point_model: ClassVar[type[Model]] = NtaFolderPoint

    def __init__(
        self,
        name: str,
        options: Model,
        points: Sequence[BoundPoint],
        clock: Clock,
        *,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        super().__init__(name, options, points, clock, on_link=on_link)
        self._fields = [_Field(name, bound, point) for bound, point in zip(points, self._points, strict=True)]
        self._worker = Worker(f"folders of {name}", clock)
        self._folders = _folders(self._options)
        self._seen: tuple[float, Seen] | None = None
        self._result: tuple[Result | None, Mapping[NtaField, Reading]] = (None, {})

    async def stop(self) -> None:
        """Let go of the folders; a write under way ends as UNKNOWN."""
        await super().stop()
        self._worker.end()

    async def read(self) -> Frame:
        """Look into the folders once, or tell what was seen less than ``poll_s`` ago."""
        seen, quality = await self._look()
        value, qualities = self._unread()
        if seen is None:
            qualities[:] = quality
        else:
            values = readings_of(seen, self._readings_of(seen.result))
            for position, field in enumerate(self._fields):
                value[position], qualities[position] = field.reading(values[field.field])
        return self._frame(value, qualities)

    async def _send(self, values: Mapping[str, float], deadline: float) -> Mapping[str, WriteResult]:
        """Place the worklist of a request: its five values at once."""
        request = _request({self._points[self._position[tag]].field: value for tag, value in values.items()})
        if isinstance(request, str):
            return all_of(values, Outcome.REJECTED, request)
        self._seen = None
        try:
            result = await self._written(lambda session: session.place(request), deadline)
        except NotPlacedError as error:
            result = WriteResult(Outcome.REJECTED, str(error))
        finally:
            self._seen = None  # what was seen before is not what is there now
        return all_of(values, result.outcome, result.reason)

    async def _look(self) -> tuple[Seen | None, int]:
        """What is seen, or None and with which quality."""
        now = self._clock.monotonic()
        rest_s = min(self._options.poll_s, self._options.timeout_s)  # older than that nothing may be told as current
        if self._seen is not None and self._connection.ready and now - self._seen[0] < rest_s:
            return self._seen[1], 0
        self._seen = None
        try:
            seen = await self._connection.ask(lambda session: session.poll(), Urgency.READ, self._deadline())
        except UNANSWERED as error:
            return None, self._quality_of(error)
        self._seen = now, seen
        return seen, 0

    def _readings_of(self, result: Result | None) -> Mapping[NtaField, Reading]:
        """The values of a result, worked out once."""
        if self._result[0] is not result:
            self._result = result, readings_of_result(result)
        return self._result[1]

    async def _open(self) -> FolderSession:
        stuck_s = self._worker.stuck_s
        if stuck_s:
            raise LinkLostError(f"the folders have not answered for {stuck_s:.0f} s")
        return FolderSession(self._worker, FolderWatch(self._folders, self._clock.monotonic))

    async def _handshake(self, session: FolderSession) -> str:
        return await answer_within(self._options.timeout_s, session.open())

    def _tell_link(self, link: Link) -> None:
        if link.state is not LinkState.READY:
            self._seen = None
        super()._tell_link(link)


class FolderSession:
    """The folders as a session of a connection: what may hang is done by the worker."""

    def __init__(self, worker: Worker, watch: FolderWatch) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._worker = worker
        self._watch = watch

    async def open(self) -> str:
        """See :meth:`FolderWatch.open`."""
        return await self._worker.run(self._watch.open)

    async def poll(self) -> Seen:
        """See :meth:`FolderWatch.poll`."""
        return await self._worker.run(self._watch.poll)

    async def place(self, request: Request) -> None:
        """See :meth:`FolderWatch.place`."""
        await self._worker.run(lambda: self._watch.place(request))

    async def close(self) -> None:
        """Nothing to close."""


class _Field:
    """What a tag is of a counter, and how a value becomes its reading."""

    def __init__(self, device: str, bound: BoundPoint, point: NtaFolderPoint) -> None:
        self.field = point.field
        self._code_of = bound.code_of
        unit, is_text = unit_of(self.field)
        if is_text is not (bound.tag.kind is TagKind.TEXT):
            what = "a text: give the tag the kind text" if is_text else "no text"
            raise ValueError(f"device {device}, tag {bound.tag.name}: {self.field} is {what}")
        try:
            self._convert = converter(parse(unit), parse(bound.tag.unit))
        except ValueError:
            what = f"in {unit}" if unit else "a plain number"
            words = f"{self.field} is {what}, not in {bound.tag.unit!r}"
            raise ValueError(f"device {device}, tag {bound.tag.name}: {words}") from None

    def reading(self, reading: Reading) -> tuple[float, int]:
        """Value in the tag's unit (of a text its code), and quality."""
        value, quality = reading
        if value is None or is_bad(quality):
            return math.nan, quality
        return (self._code_of(value) if isinstance(value, str) else self._convert(value)), quality


def _folders(options: NtaFolderOptions) -> Folders:
    exports = Path(options.exports)
    return Folders(
        worklists=Path(options.worklists),
        exports=exports,
        archive=Path(options.archive) if options.archive is not None else exports / "archive",
        instrument=_MAKERS[options.instrument],
        pattern=options.pattern if options.pattern is not None else PATTERNS[options.instrument],
        settle_s=options.settle_s,
        incomplete_after_s=max(options.incomplete_after_s, options.settle_s),
        budget_s=BUDGET * options.timeout_s,
    )


def _request(fields: Mapping[NtaField, float]) -> Request | str:
    """The request that the five values make; why they make none."""
    missing = [field.value for field in WRITABLE if field not in fields]
    if missing:
        return f"a request is written as a whole: {', '.join(missing)} missing"
    for field, (low, high, whole) in WRITABLE.items():
        value = fields[field]
        if not low <= value <= high or (whole and value != int(value)):
            number = "a whole number" if whole else "a number"
            return f"{field}: {value:g} is not {number} from {low:.0f} to {high:.0f}"
    return Request(
        request=int(fields[NtaField.REQUEST]),
        sample_no=int(fields[NtaField.SAMPLE_NO]),
        kind=int(fields[NtaField.KIND]),
        dilution=float(fields[NtaField.DILUTION]),
        videos=int(fields[NtaField.VIDEOS]),
    )
