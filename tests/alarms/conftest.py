"""A plant of alarms only, whose readings the tests set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.alarms.alarms import Alarms
from evcontrol.clock import NS, ClockKind
from evcontrol.expression import Symbol
from evcontrol.journal.events import Event
from evcontrol.journal.store import Journal
from evcontrol.plant.alarm_specs import AlarmClass, AlarmSpec, AlarmTest, ExpressionTest, OnBad, Severity, priority_of
from evcontrol.plant.model import Plant
from evcontrol.quality import GOOD
from evcontrol.signals import Tag, TagKind, TagTable, make_frame

START_S = 1_000


class HandClock:
    """Process time that a test moves."""

    kind = ClockKind.VIRTUAL
    speed = 1.0

    def __init__(self) -> None:
        self.t = START_S * NS

    def now(self) -> int:
        return self.t

    wall = now

    def monotonic(self) -> float:
        return self.t / NS

    async def sleep(self, seconds: float) -> None:
        self.t += round(seconds * NS)


def spec(name: str = "U.HIGH", test: AlarmTest | str = "U.P > 8 psig", **changes: object) -> AlarmSpec:
    """An alarm on U.P, raised above 8 psig after 3 s and cleared after 5 s."""
    fields: dict[str, object] = {
        "name": name,
        "unit": "U",
        "test": ExpressionTest(test) if isinstance(test, str) else test,
        "while_": "",
        "group": "",
        "shelve_longest_s": 600.0,
        "on_delay_s": 3.0,
        "off_delay_s": 5.0,
        "on_bad": OnBad.HOLD,
        "alarm_class": AlarmClass.PRODUCT,
        "severity": Severity.SERIOUS,
        "respond_within_s": 300.0,
        "priority": priority_of(Severity.SERIOUS, 300.0),
        "description": "",
        "cause": "",
        "consequence": "",
        "corrective_action": "",
    }
    return AlarmSpec(**(fields | changes))  # type: ignore[arg-type]


class Bench:
    """Alarms with a process image, a real journal, and a scan each second."""

    def __init__(self, directory: Path, *specs: AlarmSpec) -> None:
        tags = TagTable([Tag("U.P", 0, "psig", TagKind.ANALOG, 0, 60), Tag("U.RUN", 1, "rpm", TagKind.ANALOG, 0, 500)])
        symbols = {t.name: Symbol(t.name, t.unit, t.labels) for t in tags}
        plant = Plant(
            name="test",
            text="",
            hash="",
            scan_s=1.0,
            wire_scan_s=0.05,
            simulated=True,
            devices={},
            tags=tags,
            writes={},
            derived=(),
            internal=frozenset(),
            units={},
            loops={},
            interlocks={},
            alarms={s.name: s for s in specs},
            symbols=symbols,
        )
        self.clock = HandClock()
        self.image = ProcessImage(tags)
        self.journal = Journal(directory, self.clock)
        self.alarms = Alarms(plant, self.image, self.journal, self.clock)
        self.events: list[Event] = []
        self.journal.subscribe(self.events.append)
        self._seq = 0

    def scan(self, p: float, quality: int = GOOD, *, run: float = 100.0, run_quality: int = GOOD) -> None:
        """One scan, a second after the last."""
        self.clock.t += NS
        t = self.clock.t
        frame = make_frame(t, t, "g", [(0, p, quality), (1, run, run_quality)])
        changed = self.image.apply(frame)
        self._seq += 1
        self.alarms.evaluate(Scan(self._seq, t, t, (frame,), changed))

    def status(self, name: str = "U.HIGH") -> str:
        """The state of one alarm."""
        return next(s.state.value for s in self.alarms.states() if s.spec.name == name)

    def bodies(self) -> list[dict[str, object]]:
        """Bodies of the events so far."""
        return [dict(e.body) for e in self.events]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes a bench with the given alarms (one like :func:`spec` when none is given)."""
    made: list[Bench] = []

    def make(*specs: AlarmSpec) -> Bench:
        made.append(Bench(tmp_path / f"journal{len(made)}", *(specs or (spec(),))))
        return made[-1]

    yield make
    for it in made:
        it.journal.close()
