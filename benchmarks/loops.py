"""Our loops beside simple-pid on the process models of the simulated equipment, with the same tuning and noise.

simple-pid has the same limits; it knows no output rate, no setpoint ramp (its setpoint jumps, ours goes evenly) and
nothing of where an actuator is. Figures are of the true process value against the setpoint that was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from simple_pid import PID

from tests.control.disturbed import CASES, Case, Figures, Process, Step, ours, run


def main() -> None:
    """Run every case with both and print."""
    for case in CASES:
        print(f"-- {case.name}: setpoint {case.setpoint:g} {case.unit}, tolerance {case.tolerance:g}")
        print(f"   worst error and overshoot ({case.unit}), settling time after each disturbance")
        both = {"ours": timed(case, ours), "simple-pid": timed(case, peer)}
        for name, (figures, per_step_us) in both.items():
            print(f"  {name:11} IAE {figures.iae:9.1f} {case.unit} s, travel {figures.travel_per_h:8.0f}/h, "
                  f"{per_step_us:5.1f} us a step")  # fmt: skip
        for what in both["ours"][0].worst:
            told = [f"{name} {f.worst[what]:6.2f} {f.overshoot[what]:5.2f} {f.settled[what]:6.0f} s"
                    for name, (f, _) in both.items()]  # fmt: skip
            print(f"    {what:32} {'; '.join(told)}")


def peer(case: Case, process: Process) -> Step:
    """simple-pid for a case."""
    t, sign = case.tuning, 1.0 if case.tuning.reverse else -1.0
    pid = PID(
        sign * t.gain,
        sign * t.gain / t.ti_s,
        sign * t.gain * t.td_s,
        setpoint=case.setpoint,
        sample_time=None,
        output_limits=(case.low, case.high),
        starting_output=case.begin,
        differential_on_measurement=True,
    )

    def step(pv: float, setpoint: float, dt: float) -> float:
        pid.setpoint = setpoint
        return float(pid(pv, dt=dt) or 0.0)

    return step


def timed(case: Case, make: Callable[[Case, Process], Step]) -> tuple[Figures, float]:
    """The figures of a run, and microseconds that the controller itself took for each step."""
    spent = 0

    def counted(case: Case, process: Process) -> Step:
        step = make(case, process)

        def one(pv: float, setpoint: float, dt: float) -> float:
            nonlocal spent
            began = time.perf_counter_ns()
            output = step(pv, setpoint, dt)
            spent += time.perf_counter_ns() - began
            return output

        return one

    figures = run(case, counted)
    return figures, spent / 1e3 / len(figures.outputs)


if __name__ == "__main__":
    main()
