"""Whatever comes in whatever order, also with crashes in between: STATE tells where the request is, nothing twice."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import LinkState, Outcome
from drivers.nta_ledger import LEDGER
from drivers.nta_watch import State
from evcontrol.clock import VirtualClock, run_virtual
from simulators.devices.nta_counter import Measurement
from tests.drivers.nta_files import measurement, sizes, summary
from tests.drivers.nta_rig import Rig

SETTLE_S = 2.0
GIVE_UP_S = 60.0
WRITERS: dict[str, Callable[[Measurement], str]] = {"nanosight": summary, "zetaview": sizes}
TEXTS = {
    (instrument, sample, seed): write(measurement(1, sample=f"S-{sample:06d}", seed=seed))
    for instrument, write in WRITERS.items()
    for sample in (1, 2)
    for seed in (1, 2, 3)
}
"""Few different contents, so that copies happen."""
DAMAGED = re.compile(r"(?<=\nCompleted tracks,)|(?<=\nNumber of Traces:\t)")

STEPS = st.sampled_from(
    [
        "ask",
        "ask again",
        "take",
        "reject",
        "export",
        "half",
        "finish",
        "damaged",
        "unasked",
        "copy",
        "restart",
        "lose",
        "wait",
    ]
)


@dataclass
class Truth:
    """What must be seen, told by simple rules."""

    asked: dict[int, int] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    taken: set[int] = field(default_factory=set)
    contents: set[str] = field(default_factory=set)

    def waiting(self, sample: int) -> list[int]:
        return [number for number, of in sorted(self.asked.items()) if of == sample and number not in self.done]

    @property
    def state(self) -> State:
        if not self.asked:
            return State.IDLE
        last = max(self.asked)
        for known, state in ((self.done, State.DONE), (self.failed, State.FAILED), (self.taken, State.MEASURING)):
            if last in known:
                return state
        return State.REQUESTED


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([*WRITERS]),
    st.lists(st.tuples(STEPS, st.sampled_from([1, 2]), st.sampled_from([1, 2, 3])), max_size=14),
)
def test_the_state_is_always_that_of_the_last_request_and_every_export_is_taken_once(
    instrument: str, steps: list[tuple[str, int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_virtual(lambda clock: story(Path(folder), clock, instrument, steps))


async def story(root: Path, clock: VirtualClock, instrument: str, steps: list[tuple[str, int, int]]) -> None:
    options = {"instrument": instrument, "settle_s": SETTLE_S, "incomplete_after_s": GIVE_UP_S}
    rig, truth = Rig(root, clock, **options), Truth()
    await begin(rig)
    for number, step in enumerate(steps, 1):
        rig = await act(rig, truth, options, number, *step)
        found = await rig.read()
        assert found["state"] == truth.state, (step, found["trouble"])
        assert found["request"] == max(truth.asked, default=0)
        assert (found["result_request"] in truth.done) if truth.done else found["result_request"] == 0.0
        lines = [json.loads(line) for line in (root / "archive" / LEDGER).read_text().splitlines()]
        taken = [line for line in lines if line["what"] == "taken"]
        assert sorted(line["request"] for line in taken) == sorted(truth.done)
        assert len({line["sha256"] for line in taken}) == len(taken)
    await rig.driver.stop()


async def begin(rig: Rig) -> None:
    await rig.driver.start()
    while rig.driver.link.state is not LinkState.READY:
        await rig.clock.sleep(0.05)
    await rig.read()


async def act(rig: Rig, truth: Truth, options: dict[str, Any], number: int, what: str, sample: int, seed: int) -> Rig:
    worklists, instrument = rig.root / "worklists", str(options["instrument"])
    text = TEXTS[instrument, sample, seed]
    name = f"S-{sample:06d} {number}" if instrument == "nanosight" else f"20260924_{number:04d}_S-{sample:06d}"
    export = rig.export if instrument == "nanosight" else rig.size_file
    last = max(truth.asked, default=0)
    match what:
        case "ask":
            assert await rig.ask(number, sample) == (Outcome.CONFIRMED, "")
            truth.asked[number] = sample
        case "ask again" if last:
            assert await rig.ask(last, truth.asked[last]) == (Outcome.CONFIRMED, "")
            assert (await rig.ask(last, 3 - truth.asked[last]))[0] is Outcome.REJECTED
        case "take" | "reject" if last and (worklists / f"worklist-{last}.csv").exists():
            to = worklists / ("taken" if what == "take" else "rejected")
            to.mkdir(exist_ok=True)
            (worklists / f"worklist-{last}.csv").rename(to / f"worklist-{last}.csv")
            (truth.taken if what == "take" else truth.failed).add(last)
        case "export":
            await leave(rig, truth, export(name, text), sample)
        case "half":
            path = export(name, text[:9000])
            await wait(rig)
            path.unlink()
        case "finish":
            path = export(name, text[:9000])
            await wait(rig)
            path.unlink()
            await leave(rig, truth, export(name, text), sample)
        case "damaged":
            text = DAMAGED.sub("x", text, count=1)
            export(name, text)
            await wait(rig)
            if text not in truth.contents and (open_ := truth.waiting(sample)):
                truth.failed.add(open_[0])
            truth.contents.add(text)
        case "unasked":
            export(f"x {number}", WRITERS[instrument](measurement(1, sample="by hand")))
            await wait(rig)
        case "copy":
            for path in list((rig.root / "exports").glob("[!.]*.*"))[:1]:
                export(f"copy {number}", path.read_text(encoding="latin-1"))
                await wait(rig)
        case "restart":
            await rig.driver.stop()
            rig = Rig(rig.root, rig.clock, **options)
            await begin(rig)
        case "lose":
            (rig.root / "exports").rename(rig.root / "away")
            assert (await rig.read())["state"] < 0
            (rig.root / "away").rename(rig.root / "exports")
            await begin(rig)
        case "wait":
            await rig.clock.sleep(10.0)
    return rig


async def leave(rig: Rig, truth: Truth, path: Path, sample: int) -> None:
    """A whole export; the oldest request for its sample has its result, unless the content was there before."""
    text = path.read_text(encoding="latin-1")
    await wait(rig)
    if text not in truth.contents and (open_ := truth.waiting(sample)):
        truth.done.add(open_[0])
        truth.failed.discard(open_[0])
    truth.contents.add(text)


async def wait(rig: Rig) -> None:
    """Until whatever is new has settled and was looked at."""
    await rig.read()
    await rig.clock.sleep(SETTLE_S + 0.1)
    await rig.read()


def test_a_crash_at_any_write_of_the_ledger_leaves_what_was_or_what_is(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        rig = Rig(tmp_path, clock, settle_s=SETTLE_S)
        await begin(rig)
        await rig.ask(7)
        rig.export("S-000042 a")
        await wait(rig)
        assert (await rig.read())["result_request"] == 7.0
        await rig.driver.stop()
        ledger = tmp_path / "archive" / LEDGER
        whole = ledger.read_bytes()
        first = whole.index(b"requested")
        for cut in range(first - 10, len(whole), 23):
            ledger.write_bytes(whole[:cut])
            again = Rig(tmp_path, clock, settle_s=SETTLE_S)
            await begin(again)
            await wait(again)
            found: dict[str, Any] = await again.read()
            assert (found["request"], found["result_request"], found["state"]) == (7.0, 7.0, State.DONE)
            assert sum(b'"taken"' in line and line.endswith(b"}") for line in ledger.read_bytes().splitlines()) == 1
            await again.driver.stop()

    run_virtual(main)
