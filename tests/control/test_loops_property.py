"""Whatever happens to a loop, its actuator is never pushed: every take-over is bumpless, every move within the rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.control.loops import LoopMode
from evcontrol.journal.events import ENGINE, Kind
from evcontrol.plant.model import FailureAction
from tests.control.test_loops import BAD, SPEC, LoopBench

EVENTS = st.one_of(
    st.tuples(st.just("reads"), st.floats(-20, 60)),
    st.tuples(st.just("lost"), st.just(0.0)),
    st.tuples(st.just("tripped"), st.floats(0, 100)),
    st.tuples(st.just("reset"), st.just(0.0)),
    st.tuples(st.just("stopped"), st.floats(0, 100)),
    st.tuples(st.just("started"), st.floats(0.5, 8)),
    st.tuples(st.just("setpoint"), st.floats(0.5, 8)),
)


@contextmanager
def frozen_on_bad() -> Iterator[LoopBench]:
    with TemporaryDirectory() as directory:
        it = LoopBench(Path(directory), replace(SPEC, on_bad=FailureAction.FREEZE))
        yield it
        it.journal.close()


def happens(it: LoopBench, event: str, value: float) -> None:
    """One thing that is done to the loop between two scans."""
    on, tripped = it.state.mode is not LoopMode.OFF, it.gate.locked("U")
    match event:
        case "tripped" if not tripped:
            it.gate.lock("U", "U.HIGH_TMP")
            it.valve = value
        case "reset" if tripped:
            it.gate.unlock("U", "U.HIGH_TMP")
        case "stopped" if on:
            it.loops.stop("U.PIC", ENGINE, "by hand from here")
            it.valve = value
        case "started" if not tripped:
            it.loops.start("U.PIC", value, ENGINE)
        case "setpoint" if on:
            it.loops.change("U.PIC", value, ENGINE)


@settings(max_examples=60, deadline=None)
@given(events=st.lists(EVENTS, min_size=5, max_size=40))
def test_its_actuator_is_taken_over_without_a_bump_and_never_moved_faster_than_its_rate(
    events: list[tuple[str, float]],
) -> None:
    with frozen_on_bad() as it:
        it.step(5.0)
        it.loops.start("U.PIC", 5.0, ENGINE)
        reading = 5.0
        for event, value in events:
            happens(it, event, value)
            reading = value if event == "reads" else reading
            before, valve, given_so_far = it.state.mode, it.valve, len(it.outputs)
            it.loops.evaluate(it.scan(1.0, TMP=BAD if event == "lost" else reading, VALVE=valve))
            outputs = it.outputs[given_so_far:]
            if it.state.mode is not LoopMode.AUTOMATIC:
                assert outputs == []
                continue
            (output,) = outputs
            if before is not LoopMode.AUTOMATIC:
                assert output == valve
            assert abs(output - valve) <= SPEC.output_rate + 1e-9
            assert min(SPEC.output_low, valve) <= output <= SPEC.output_high
            it.valve = output
        assert {e.kind for e in it.events} <= {Kind.LOOP_CHANGED, Kind.OWNER_CHANGED}
