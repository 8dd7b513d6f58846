"""The PID calculation, against a closed loop integrated by scipy and against its own promises."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from evcontrol.control.pid import DERIVATIVE_FILTER, Pid, Tuning

PI = Tuning(gain=2.0, ti_s=20.0, td_s=0.0, reverse=True)
PID = Tuning(gain=2.0, ti_s=20.0, td_s=4.0, reverse=True)
PROCESS_GAIN = 1.5
LAG_1_S, LAG_2_S = 30.0, 8.0


def stepped(tuning: Tuning, end_s: float, dt: float) -> tuple[list[float], list[float], list[float]]:
    """Times, process values and outputs of a second-order process whose setpoint steps from 0 to 1."""
    pid = Pid(tuning)
    sign = 1.0 if tuning.reverse else -1.0
    pid.track(0.0, 0.0, 0.0)
    x = np.zeros(2)
    times, values, outputs = [0.0], [0.0], [0.0]
    for k in range(round(end_s / dt)):
        u = pid.update(float(x[1]), 1.0, dt, -100.0, 100.0)
        result = solve_ivp(lambda t, x, u=u: process(x, sign * u), (0.0, dt), x, rtol=1e-9, atol=1e-12)
        x = result.y[:, -1]
        times.append((k + 1) * dt)
        values.append(float(x[1]))
        outputs.append(u)
    return times, values, outputs


def process(x: np.ndarray, u: float) -> list[float]:
    return [(PROCESS_GAIN * u - x[0]) / LAG_1_S, (x[0] - x[1]) / LAG_2_S]


def reference(tuning: Tuning, times: list[float]) -> np.ndarray:
    """The same loop with the continuous controller: states are the process, the integral of the error, the filter."""
    lag = tuning.td_s / DERIVATIVE_FILTER

    def loop(t: float, state: np.ndarray) -> list[float]:
        error = 1.0 - state[1]
        slope = (state[1] - state[3]) / lag if lag else 0.0
        u = tuning.gain * (error + state[2] / tuning.ti_s - tuning.td_s * slope)
        return [*process(state[:2], u), error, slope]

    result = solve_ivp(loop, (0.0, times[-1]), np.zeros(4), t_eval=times, rtol=1e-8, atol=1e-10, method="LSODA")
    return result.y[1]


@pytest.mark.parametrize("tuning", [PI, PID, replace(PI, reverse=False), replace(PID, reverse=False)])
def test_the_step_response_is_that_of_the_continuous_loop(tuning: Tuning) -> None:
    times, values, _ = stepped(tuning, 200.0, 0.05)
    assert np.max(np.abs(np.array(values) - reference(tuning, times))) < 5e-3


@pytest.mark.parametrize("tuning", [PI, PID])
def test_at_the_scan_of_the_plant_the_loop_still_settles_on_its_setpoint(tuning: Tuning) -> None:
    _, values, _ = stepped(tuning, 400.0, 1.0)
    assert max(values) < 1.5
    assert values[-1] == pytest.approx(1.0, abs=0.01)


def test_direct_action_raises_the_output_with_the_process_value() -> None:
    direct, reverse = Pid(replace(PI, reverse=False)), Pid(PI)
    for pid in (direct, reverse):
        pid.track(50.0, 5.0, 5.0)
    assert direct.update(6.0, 5.0, 1.0, 0.0, 100.0) > 50.0
    assert reverse.update(6.0, 5.0, 1.0, 0.0, 100.0) < 50.0


@given(
    output=st.floats(0, 100),
    pv=st.floats(-50, 50),
    setpoint=st.floats(-50, 50),
    td_s=st.floats(0, 20),
    reverse=st.booleans(),
)
def test_taking_over_moves_the_output_by_no_more_than_one_step_of_the_integral(
    output: float, pv: float, setpoint: float, td_s: float, reverse: bool
) -> None:
    tuning = Tuning(3.0, 12.0, td_s, reverse)
    pid = Pid(tuning)
    pid.track(output, pv, setpoint)
    moved = pid.update(pv, setpoint, 1.0, -1e6, 1e6) - output
    assert abs(moved) <= 3.0 * abs(setpoint - pv) / 12.0 + 1e-9


signals = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100), st.floats(0.05, 3.0)), min_size=1, max_size=60)


@given(signals=signals, tuning=st.sampled_from([PI, PID, Tuning(30.0, 0.5, 10.0, False, 5.0)]), rate=st.floats(0.1, 50))
def test_the_output_keeps_to_its_limits_and_its_rate_whatever_comes(
    signals: list[tuple[float, float, float]], tuning: Tuning, rate: float
) -> None:
    pid = Pid(replace(tuning, rate=rate))
    pid.track(40.0, 0.0, 0.0)
    outputs = [40.0]
    for pv, setpoint, dt in signals:
        outputs.append(pid.update(pv, setpoint, dt, 5.0, 90.0))
    assert all(5.0 <= output <= 90.0 for output in outputs)
    steps = [dt for _, _, dt in signals]
    assert all(abs(b - a) <= rate * dt + 1e-9 for (a, b), dt in zip(pairwise(outputs), steps, strict=True))


def test_an_output_that_begins_outside_its_limits_comes_in_at_its_rate() -> None:
    pid = Pid(replace(PI, rate=2.0))
    pid.track(0.0, 1.0, 1.0)
    assert [pid.update(1.0, 1.0, 1.0, 5.0, 90.0) for _ in range(4)] == [2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize("rate", [0.0, 5.0])
def test_hours_at_a_limit_wind_nothing_up(rate: float) -> None:
    pid = Pid(replace(PI, rate=rate))
    pid.track(50.0, 0.0, 0.0)
    for _ in range(10_000):
        pid.update(0.0, 10.0, 1.0, 0.0, 100.0)
    assert pid.output == 100.0
    pid.update(11.0, 10.0, 1.0, 0.0, 100.0)
    assert pid.output < 100.0


def test_waiting_for_the_rate_winds_nothing_up() -> None:
    pid = Pid(replace(PI, rate=0.5))
    pid.track(0.0, 0.0, 0.0)
    for _ in range(40):
        pid.update(0.0, 10.0, 1.0, 0.0, 100.0)
    assert pid.output == 20.0
    pid.update(10.0, 10.0, 1.0, 0.0, 100.0)
    assert pid.output < 20.0


def test_without_integral_or_derivative_the_output_is_proportional() -> None:
    pid = Pid(Tuning(2.0, 0.0, 0.0, True))
    pid.track(0.0, 0.0, 0.0)
    assert [pid.update(0.0, 5.0, dt, 0.0, 100.0) for dt in (0.1, 10.0, 1000.0)] == [10.0, 10.0, 10.0]


def test_a_change_of_setpoint_gives_no_derivative_kick() -> None:
    with_d, without = Pid(PID), Pid(PI)
    for pid in (with_d, without):
        pid.track(20.0, 3.0, 3.0)
    assert with_d.update(3.0, 9.0, 1.0, 0.0, 100.0) == without.update(3.0, 9.0, 1.0, 0.0, 100.0)


@pytest.mark.parametrize("dt", [0.0, -1.0, float("nan")])
def test_a_step_without_time_is_refused(dt: float) -> None:
    with pytest.raises(ValueError, match="not possible"):
        Pid(PI).update(1.0, 1.0, dt, 0.0, 1.0)
