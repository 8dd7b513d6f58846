"""The simulated mass flow controllers: what they obey, what they say, and what they write into their memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.alicat import ControllerParameters, MassFlowController


def settled(**parameters: object) -> MassFlowController:
    return MassFlowController("A", ControllerParameters(**parameters))  # type: ignore[arg-type]


def test_the_flow_follows_the_setpoint() -> None:
    one = settled()
    assert one.hear(b"AS 2.004") == b"A +014.70 +025.00 +00.000 +00.000 2.004 Air\r"
    one.step(5.0)
    assert one.hear(b"a") == b"A +014.70 +025.00 +02.003 +02.004 2.004 Air\r"
    one.supply = False
    one.step(5.0)
    assert b" +00.000 2.004 " in one.hear(b"A")
    assert one.hear(b"B") == b""


@pytest.mark.parametrize("command", [b"AS 20.1", b"AS -1", b"AS", b"AXYZ", b"AG 99", b"AFPF 99", b"ALSS X"])
def test_what_it_cannot_do_is_answered_by_a_question_mark(command: bytes) -> None:
    one = settled()
    assert one.hear(command) == b"?\r"
    assert (one.setpoint, one.gas, one.saves) == (0.0, 0, 0)


def test_the_old_form_of_a_setpoint_is_one() -> None:
    one = settled()
    one.hear(b"A32000")
    assert one.setpoint == 10.0


def test_only_a_saved_setpoint_wears_the_memory_and_is_there_after_a_loss_of_power() -> None:
    for source, saves, after in (("S", 1, 5.0), ("U", 0, 0.0)):
        one = settled(source=source)
        one.hear(b"AS 5.0")
        one.restart()
        assert (one.saves, one.setpoint) == (saves, after)
    analog = settled(source="A")
    analog.hear(b"AS 5.0")
    assert analog.setpoint == 0.0


def test_a_held_valve_keeps_its_flow_and_says_so() -> None:
    one = settled()
    one.hear(b"AS 5.0")
    one.step(5.0)
    assert one.hear(b"AHP").endswith(b"Air HLD\r")
    one.hear(b"AS 1.0")
    one.step(5.0)
    assert one.flow == pytest.approx(5.0)
    assert not one.hear(b"AC").endswith(b"HLD\r")
    assert one.hear(b"AL").endswith(b" LCK\r")


@given(st.binary(max_size=40))
def test_no_bytes_make_it_fail(command: bytes) -> None:
    settled().hear(command)
    settled().hear(b"A" + command)
