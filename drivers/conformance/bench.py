"""One test of the suite: a rig's device, its driver, and what is seen of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import pytest

from drivers.conformance.rig import Rig, Trouble
from drivers.driver import BoundPoint, Driver, Link, LinkState, Outcome, WriteResult
from evcontrol.clock import Clock, LiveClock, run_virtual
from evcontrol.quality import is_bad
from evcontrol.signals import Frame, Tag, TagTable

NAME: Final = "DEVICE"
PAUSE_S: Final = 0.02
"""Between two readings of a test."""
BACK_S: Final = 5.0
"""Within which a driver is back after a trouble."""
BOUND_S: Final = 20.0
"""For what has no bound of its own."""
SLACK_S: Final = 0.25
"""How late a machine with other work may be, beside what its event loop is seen to be late."""
LATE_S: Final = 2.0
"""How late it may be seen to be; a driver that blocks the event loop is too."""

Readings = Mapping[str, tuple[float, int]]
T = TypeVar("T")


def on_bench(rig: Rig, test: Callable[[Bench], Awaitable[None]], *, ready: bool = True) -> None:
    """Run one test with the rig's device; with ``ready`` its driver is started and reads it rightly."""

    async def main(clock: Clock) -> None:
        unheard: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(repr(context)))
        await rig.start()
        try:
            bench = Bench(rig, clock)
            try:
                if ready:
                    await bench.driver.start()
                    await bench.right()
                await test(bench)
            finally:
                await bench.driver.stop()
        finally:
            await rig.stop()
        assert not unheard, f"an exception that nobody heard: {unheard}"

    if rig.virtual:
        run_virtual(main)
    else:
        asyncio.run(main(LiveClock()))


def needs(rig: Rig, *troubles: Trouble) -> None:
    """Skip a test for whose troubles the rig has no means."""
    if missing := sorted(set(troubles) - rig.troubles):
        pytest.skip(f"this rig cannot be {', '.join(missing)}")


class Bench:
    """The driver under test with all tags of the rig bound; ``links`` is every change of its link, in order."""

    def __init__(self, rig: Rig, clock: Clock) -> None:
        self.rig = rig
        self.clock = clock
        self.slack_s = 1e-3 if rig.virtual else SLACK_S
        self.rig_tags = {tag.name: tag for tag in rig.tags()}
        self.table = TagTable(
            Tag(tag.name, i, tag.unit, tag.kind, tag.low, tag.high, labels=tag.labels)
            for i, tag in enumerate(self.rig_tags.values())
        )
        self.points = [
            BoundPoint(tag, rig.driver.point_model.model_validate(self.rig_tags[tag.name].point), self.table.code_of)
            for tag in self.table
        ]
        self.links: list[Link] = []
        self.driver = self.make()
        self.driver.on_link = self.links.append

    def make(self) -> Driver:
        """Another driver of the same device."""
        options = self.rig.driver.options_model.model_validate(self.rig.options())
        return self.rig.make(NAME, options, self.points, self.clock)

    @property
    def writable(self) -> set[str]:
        """The tags whose point says that it can be written."""
        return {bound.tag.name for bound in self.points if getattr(bound.point, "writable", False)}

    def now(self) -> float:
        """The event loop's time, s."""
        return asyncio.get_running_loop().time()

    async def pause(self, seconds: float = PAUSE_S) -> None:
        """Let everything else run."""
        await asyncio.sleep(seconds)

    # -- reading ---------------------------------------------------------------------------------------------------

    async def read(self) -> Readings:
        """One frame, in which everything is as it must be, by tag; within the time-out."""
        before = self.clock.now()
        async with self.within(self.rig.timeout_s, "read"):
            frame = await self.driver.read()
        check_frame(frame, self.table, before, self.clock.now())
        readings = {
            self.table[int(index)].name: (float(value), int(quality))
            for index, value, quality in zip(frame.index, frame.value, frame.quality, strict=True)
        }
        readable = {name for name, tag in self.rig_tags.items() if tag.readable}
        assert readable <= set(readings), f"no reading of {sorted(readable - set(readings))}"
        return readings

    async def truth(self) -> dict[str, float]:
        """What should be read now; texts as their codes."""
        truth = await self.rig.truth()
        return {name: self.table.code_of(v) if isinstance(v, str) else float(v) for name, v in truth.items()}

    def wrong(self, readings: Readings, truth: Mapping[str, float]) -> dict[str, Any]:
        """The tags that are not read as they truly are."""
        return {
            name: (readings[name], value)
            for name, value in truth.items()
            if is_bad(readings[name][1]) or not self.same(name, readings[name][0], value)
        }

    def same(self, name: str, one: float, other: float) -> bool:
        """Whether two values of a tag agree within its tolerance."""
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=self.rig_tags[name].tolerance)

    async def right(self, within_s: float = BOUND_S) -> Readings:
        """Read until every tag is as it truly is."""
        begun = self.now()
        async with self.patience(within_s) as spent:
            while True:
                readings = await self.read()
                wrong = self.wrong(readings, await self.truth())
                if not wrong:
                    return readings
                took = self.now() - begun
                assert not spent(), f"not right after {took:.2f} s: {self.driver.link} (read, true): {wrong}"
                await self.pause()

    async def bad(self, within_s: float) -> None:
        """Read until every tag is Bad."""
        async with self.patience(within_s) as spent:
            while good := {name: r for name, r in (await self.read()).items() if not is_bad(r[1])}:
                assert not spent(), f"still shown after {within_s:g} s: {good}"
                await self.pause()

    async def still_bad(self, seconds: float) -> None:
        """Read for so long, and nothing but Bad."""
        end = self.now() + seconds
        while self.now() < end:
            good = {name: r for name, r in (await self.read()).items() if not is_bad(r[1])}
            assert not good, f"shown again before the trouble's end: {good}"
            await self.pause()

    async def first_right(self) -> None:
        """Read until anything is not Bad: then it is what truly is, never what was before the trouble."""
        truth = await self.truth()
        async with self.patience(BACK_S) as spent:
            while True:
                readings = await self.read()
                shown = {
                    name: truth[name]
                    for name, (_, quality) in readings.items()
                    if name in truth and not is_bad(quality)
                }
                if shown:
                    wrong = self.wrong(readings, shown)
                    assert not wrong, f"an old or wrong value after the trouble (read, true): {wrong}"
                if len(shown) == len(truth):
                    return
                assert not spent(), f"not back after {BACK_S:g} s: {self.driver.link} {readings}"
                await self.pause()

    # -- writing ---------------------------------------------------------------------------------------------------

    async def write(self, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        """One write, within twice the time-out; every value has its outcome, with a reason unless it is confirmed."""
        async with self.within(2 * self.rig.timeout_s, "write"):
            results = await self.driver.write(values)
        assert set(results) == set(values), f"outcomes of {sorted(results)} for values of {sorted(values)}"
        for name, result in results.items():
            assert isinstance(result, WriteResult), f"{name}: {result!r} is no WriteResult"
            assert result.outcome is Outcome.CONFIRMED or result.reason, f"{name}: {result.outcome} without a reason"
        return results

    async def arrivals(self, values: Mapping[str, float], since: int) -> dict[str, int]:
        """How often each of these values has reached the device, among what came after the first ``since``."""
        arrived = (await self.rig.arrived())[since:]
        return {
            name: sum(tag == name and self.same(name, got, value) for tag, got in arrived)
            for name, value in values.items()
        }

    # -- the link --------------------------------------------------------------------------------------------------

    async def link_is(self, *states: LinkState, within_s: float = BACK_S) -> Link:
        """Read until the link is in one of these states."""
        async with self.patience(within_s) as spent:
            while (link := self.driver.link).state not in states:
                assert not spent(), f"{link} after {within_s:g} s"
                await self.read()
                await self.pause()
        return link

    # -- time ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def within(self, limit_s: float, what: str) -> AsyncIterator[None]:
        """What is inside must not take longer, in real seconds, apart from the machine's own lateness."""
        begun = self.now()
        async with _lateness() as late:
            yield
            took = self.now() - begun
            allowed = limit_s + self.slack_s + min(LATE_S, late())
            assert took <= allowed, f"{what} took {took:.3f} s, not {limit_s:g} s at the most"

    @asynccontextmanager
    async def patience(self, limit_s: float) -> AsyncIterator[Callable[[], bool]]:
        """Gives a function that tells whether so many real seconds are over, apart from the machine's own lateness."""
        begun = self.now()
        async with _lateness() as late:
            yield lambda: self.now() - begun > limit_s + self.slack_s + min(LATE_S, late())

    async def at_once(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What ends at once; the best of a few tries counts, since waiting for a device never ends sooner."""
        took = []
        for _ in range(5):
            begun = self.now()
            answer = await ask()
            took.append(self.now() - begun)
            if took[-1] < self.rig.timeout_s / 4:
                return answer
        raise AssertionError(f"does not end at once: {', '.join(f'{each:.3f} s' for each in took)}")


def check_frame(frame: Frame, table: TagTable, earliest: int, latest: int) -> None:
    """The form of a frame: its arrays, its times, NaN where it is Bad and nowhere else."""
    assert frame.group == NAME, f"group {frame.group!r}, not the device's name"
    types = (frame.index.dtype.name, frame.value.dtype.name, frame.quality.dtype.name)
    assert types == ("int32", "float64", "uint32"), f"index, value and quality are {types}"
    assert earliest <= frame.t <= latest, "the frame's time is not process time during the read"
    assert frame.source_t is None or frame.source_t.dtype.name == "int64", "source_t is not int64"
    indices: Sequence[int] = frame.index.tolist()
    assert len(set(indices)) == len(indices), "a tag is in the frame twice"
    for index, value, quality in zip(indices, frame.value.tolist(), frame.quality.tolist(), strict=True):
        name = table[index].name
        assert math.isnan(value) == is_bad(quality), f"{name}: {value} with quality 0x{quality:08X}"
        assert not math.isinf(value), f"{name} is infinite"


@asynccontextmanager
async def _lateness() -> AsyncIterator[Callable[[], float]]:
    """Gives a function that tells by how much the event loop has been late meanwhile, s."""
    loop = asyncio.get_running_loop()
    late = 0.0

    async def watch() -> None:
        nonlocal late
        while True:
            due = loop.time() + PAUSE_S
            await asyncio.sleep(PAUSE_S)
            late += max(0.0, loop.time() - due - 1e-3)

    watching = asyncio.create_task(watch())
    try:
        yield lambda: late
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
