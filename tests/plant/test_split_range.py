"""Split range: every actuator over its part, and back from where the actuators stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.plant.split_range import Span, output_for, shares

GAS = (
    Span("N2", 0.0, 50.0, 200.0, 0.0),
    Span("AIR", 0.0, 50.0, 0.0, 200.0),
    Span("AIR", 50.0, 100.0, 200.0, 0.0),
    Span("O2", 50.0, 100.0, 0.0, 200.0),
)
"""Oxygen from none to pure at one total flow: nitrogen gives way to air, and air to oxygen."""


@pytest.mark.parametrize(
    ("output", "flows"),
    [
        (0.0, {"N2": 200.0, "AIR": 0.0, "O2": 0.0}),
        (25.0, {"N2": 100.0, "AIR": 100.0, "O2": 0.0}),
        (50.0, {"N2": 0.0, "AIR": 200.0, "O2": 0.0}),
        (75.0, {"N2": 0.0, "AIR": 100.0, "O2": 100.0}),
        (100.0, {"N2": 0.0, "AIR": 0.0, "O2": 200.0}),
        (140.0, {"N2": 0.0, "AIR": 0.0, "O2": 200.0}),
    ],
)
def test_gases_give_way_to_each_other(output: float, flows: dict[str, float]) -> None:
    assert shares(GAS, output) == pytest.approx(flows)


@given(st.floats(0.0, 100.0))
def test_the_total_flow_stays_and_the_way_back_finds_the_output(output: float) -> None:
    flows = shares(GAS, output)
    assert sum(flows.values()) == pytest.approx(200.0)
    assert output_for(GAS, flows, 0.0, 100.0) == pytest.approx(output, abs=1e-6)


@given(st.fixed_dictionaries({name: st.floats(0.0, 200.0) for name in ("N2", "AIR", "O2")}))
def test_from_any_flows_it_finds_one_within_its_limits(flows: dict[str, float]) -> None:
    assert 20.0 <= output_for(GAS, flows, 20.0, 80.0) <= 80.0
