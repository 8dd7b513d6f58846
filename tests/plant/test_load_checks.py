"""The section ``checks:``: what is read from it, and every mistake with its line."""

from __future__ import annotations

import pytest

from evcontrol.plant.load import parse_plant
from evcontrol.plant.sensor_checks import CheckSpec, ContradictionTest, Doubt, FrozenTest, ImplausibleTest, JumpTest
from evcontrol.yaml_source import SourceError

PLANT = """\
name: Scale and meter
scan: 1 s
wire_scan: 50 ms
devices:
  PLC: {driver: modbus-tcp, options: {host: 127.0.0.1}}
units:
  U: {class: test, content_tag: U.CONTENT, safe_states: {default: {}}, safe_within: 2 s}
tags:
  U.A: {device: PLC, point: {table: input, address: 0, type: uint16}, unit: g, low: 0, high: 100}
  U.B: {device: PLC, point: {table: input, address: 1, type: uint16}, unit: mL/min, low: 0, high: 100}
  U.ON: {device: PLC, point: {table: input, address: 2, type: uint16, bit: 0}, kind: discrete}
  U.RATE: {rate: {of: U.A, over: 30 s}, unit: g/min, low: 0, high: 100}
  U.CONTENT: {internal: true, kind: enum, labels: [empty]}
  U.CHECK: {internal: true, kind: enum, labels: ["off", good, failed, unknown]}
checks:
  U.ONE:
    tags: [U.A]
    description: it lies
    corrective_action: look
"""


def check(body: str, tags: str = "[U.A]", name: str = "U.ONE") -> CheckSpec:
    text = PLANT.replace("tags: [U.A]", f"tags: {tags}\n    {body}").replace("  U.ONE:", f"  {name}:")
    [spec] = parse_plant(text, "p.yaml").checks.values()
    return spec


def mistake(body: str, tags: str = "[U.A]", name: str = "U.ONE") -> str:
    with pytest.raises(SourceError) as caught:
        check(body, tags, name)
    assert all(one.line >= 16 for one in caught.value.mistakes)
    return str(caught.value.mistakes[0])


def test_every_test_is_read_with_its_times_and_numbers() -> None:
    frozen = check("frozen: {over: 2 min, within: 0.5, partner: {tag: U.B, moves: 10}}\n    quality: bad")
    assert frozen.test == FrozenTest(0.5, 120.0, 20, "U.B", 10.0)
    assert (frozen.doubt, frozen.unit, frozen.tags, frozen.state_tag) == (Doubt.BAD, "U", ("U.A",), "")
    assert check("frozen: {over: 1 min}").test == FrozenTest(0.0, 60.0, 20)
    assert check("jump: {rate: 2, noise: 0.1}").test == JumpTest(0.1, 2.0, 60.0)
    assert check("implausible: {low: 5}").test == ImplausibleTest(5.0, float("inf"), 0.0)
    when = "abs(U.RATE - U.B * 1 g/mL) > 5 g/min"
    body = f'contradiction: {{when: "{when}", over: 10 s}}\n    only_while: U.ON = on\n    state: U.CHECK'
    contradiction = check(body, "[U.A, U.B]")
    assert contradiction.test == ContradictionTest(when, 10.0)
    assert (contradiction.while_, contradiction.state_tag) == ("U.ON = on", "U.CHECK")


@pytest.mark.parametrize(
    ("body", "tags", "words"),
    [
        ("only_while: U.ON = on", "[U.A]", "exactly one of: frozen, jump, contradiction, implausible"),
        ("frozen: {over: 1 s}\n    jump: {rate: 1}", "[U.A]", "exactly one of"),
        ("frozen: {over: 1 s}", "[]", "names no tag"),
        ("frozen: {over: 1 s}", "[U.AA]", "did you mean 'U.A'?"),
        ("frozen: {over: 1 s}", "[U.RATE]", "read from no device"),
        ("frozen: {over: 1 s}", "[U.ON]", "only a measured number"),
        ("frozen: {over: 1 s, partner: {tag: U.RATE, moves: 1}}", "[U.A]", "read from no device"),
        ("frozen: {over: 1 s}\n    state: U.CONTENT", "[U.A]", "labels: [off, good, failed, unknown]"),
        ("frozen: {over: 1 s}\n    only_while: U.OM = on", "[U.A]", "U.OM"),
        ("contradiction: {when: U.A > 5 mL, over: 1 s}", "[U.A]", "mL"),
        ("implausible: {over: 1 s}", "[U.A]", "give low, high or both"),
        ("implausible: {low: 5, high: 4}", "[U.A]", "low below high"),
    ],
)
def test_every_mistake_is_told_with_what_to_write(body: str, tags: str, words: str) -> None:
    assert words in mistake(body, tags)


def test_a_check_belongs_to_a_unit() -> None:
    assert "does not begin with a unit's name" in mistake("frozen: {over: 1 s}", name="V.ONE")
