"""The section ``alarms:``: what is read from it, and every mistake with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evcontrol.plant.alarm_specs import (
    ON_BAD,
    AlarmClass,
    AlarmSpec,
    BadQualityTest,
    DeviationTest,
    DiscrepancyTest,
    ExpressionTest,
    LimitTest,
    OnBad,
    Priority,
    RateTest,
    Severity,
    StaleTest,
    StateTest,
    WatchdogTest,
    priority_of,
)
from evcontrol.plant.load import load_plant, parse_plant
from evcontrol.yaml_source import SourceError

ROOT = Path(__file__).parents[2]
PLANT = """\
name: Scale and valve
scan: 1 s
wire_scan: 50 ms
devices:
  PLC: {driver: modbus-tcp, options: {host: 127.0.0.1}}
units:
  U: {class: test, content_tag: U.CONTENT, safe_states: {default: {}}, safe_within: 2 s}
tags:
  U.P: {device: PLC, point: {table: input, address: 0, type: uint16}, unit: psig, low: 0, high: 100}
  U.T: {device: PLC, point: {table: input, address: 1, type: uint16}, unit: degC, low: 0, high: 100}
  U.T_SP: {device: PLC, point: {table: input, address: 2, type: uint16}, unit: degC, low: 0, high: 100}
  U.N: {device: PLC, point: {table: input, address: 3, type: uint16}, kind: integer, low: 0, high: 65535}
  U.FB: {device: PLC, point: {table: input, address: 4, type: uint16, bit: 0}, kind: discrete, labels: [shut, open]}
  U.POS: {device: PLC, point: {table: input, address: 5, type: uint16}, unit: "%open", low: 0, high: 100}
  U.V:
    device: PLC
    point: {table: holding, address: 0, type: uint16, writable: true}
    kind: discrete
    labels: [shut, open]
    write: {on_silence: stays, feedback: U.FB, within: 7 s}
  U.PV:
    device: PLC
    point: {table: holding, address: 1, type: uint16, writable: true}
    unit: "%open"
    low: 0
    high: 100
    write: {on_silence: stays, feedback: U.POS, feedback_tolerance: 2, within: 20 s}
  U.FREE:
    device: PLC
    point: {table: holding, address: 2, type: uint16, writable: true}
    unit: mL/min
    low: 0
    high: 100
    write: {on_silence: stays}
  U.CONTENT: {internal: true, kind: enum, labels: [empty, full]}
alarms:
  U.ONE:
    BODY
    class: product
    severity: serious
    respond_within: 10 min
    description: d
    cause: c
    consequence: q
    corrective_action: a
"""


def alarm(body: str) -> AlarmSpec:
    [spec] = parse_plant(PLANT.replace("BODY", body), "p.yaml").alarms.values()
    return spec


def mistake(body: str) -> str:
    with pytest.raises(SourceError) as caught:
        alarm(body)
    assert all(one.line >= 33 for one in caught.value.mistakes)
    return str(caught.value.mistakes[0])


KINDS = {
    "when: U.P > 5 psig": ExpressionTest("U.P > 5 psig"),
    "high: {tag: U.P, setpoint: 1 barg, deadband: 2 psi}": LimitTest("U.P", True, 14.503773773, 2.0),
    "low: {tag: U.T, setpoint: 36 degC}": LimitTest("U.T", False, 36.0),
    "deviation: {tag: U.T, from: U.T_SP, setpoint: 0.5 delta_degC}": DeviationTest("U.T", "U.T_SP", 0.5),
    "rate: {tag: U.T, setpoint: 0.2 delta_degC/min, over: 5 min}": RateTest("U.T", 0.2, 300.0, 60.0),
    "discrepancy: {commanded: U.V}": DiscrepancyTest("U.V", "U.FB", 0.0, 7.0),
    "discrepancy: {commanded: U.PV, travel: 6 s}": DiscrepancyTest("U.PV", "U.POS", 2.0, 6.0),
    "discrepancy: {commanded: U.FREE, confirmed: U.FB}": DiscrepancyTest("U.FREE", "U.FB", 0.0, 10.0, runs=True),
    "stale: {tag: U.P, setpoint: 10 s}": StaleTest("U.P", 10.0),
    "bad_quality: {tag: U.P}": BadQualityTest("U.P"),
    "bad_quality: {tag: U.P, or_uncertain: true}": BadQualityTest("U.P", or_uncertain=True),
    "state: {tag: U.V, is: open}": StateTest("U.V", ("open",)),
    "state: {tag: U.CONTENT, is: [empty, full]}": StateTest("U.CONTENT", ("empty", "full")),
    "watchdog: {tag: U.N, setpoint: 1 min}": WatchdogTest("U.N", 60.0),
}


@pytest.mark.parametrize("body", KINDS)
def test_every_kind_is_read_with_its_numbers_in_the_tags_unit_and_what_a_bad_input_does(body: str) -> None:
    spec, expected = alarm(body), KINDS[body]
    if isinstance(expected, LimitTest):
        assert isinstance(spec.test, LimitTest)
        assert spec.test.setpoint == pytest.approx(expected.setpoint)
        assert (spec.test.tag, spec.test.above, spec.test.deadband) == (expected.tag, expected.above, expected.deadband)
    else:
        assert spec.test == expected
    assert spec.on_bad is ON_BAD[type(expected)]
    assert (spec.unit, spec.alarm_class, spec.priority) == ("U", AlarmClass.PRODUCT, Priority.MEDIUM)
    kind = body.partition(":")[0]
    reference = (ROOT / "docs" / "reference" / "plant-file.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{kind}` \| `{spec.on_bad}` \|", reference, re.MULTILINE)


def test_what_is_said_about_an_alarm_is_kept() -> None:
    body = """high: {tag: U.P, setpoint: 5 psig}
    adjustable: {low: 4 psig, high: 8 psig}
    on_bad: raise
    shelve_longest: 1 h
    shelve_by: [supervisor]
    only_while: U.CONTENT = full
    group: pressures
    priority: medium"""
    spec = alarm(body)
    assert (spec.setpoint, spec.setpoint_unit, spec.setpoint_low, spec.setpoint_high) == (5.0, "psig", 4.0, 8.0)
    assert (spec.on_bad, spec.shelve_longest_s, spec.shelve_roles) == (OnBad.RAISE, 3600.0, ("supervisor",))
    assert (spec.while_, spec.group, spec.severity) == ("U.CONTENT = full", "pressures", Severity.SERIOUS)


HIGH = "high: {tag: U.P, setpoint: 5 psig}\n    "


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("on_delay: 1 s", "exactly one of: when, high, low"),
        (HIGH + "when: U.P > 3 psig", "exactly one of"),
        ("when: U.Q > 3 psig", "U.Q"),
        ("high: {tag: U.PP, setpoint: 5 psig}", "did you mean 'U.P'?"),
        ("high: {tag: U.V, setpoint: '1'}", "U.V is discrete"),
        ("high: {tag: U.P, setpoint: 5 mL}", "does not convert"),
        ("high: {tag: U.P, setpoint: '5'}", "write '5 psig'"),
        ("high: {tag: U.P, setpoint: 101 psig}", "outside the range of U.P, 0 to 100 psig"),
        ("high: {tag: U.P, setpoint: 5 psig, deadband: 1 psig}", "does not convert"),
        ("deviation: {tag: U.P, from: U.T, setpoint: 1 psi}", "only tags of one unit"),
        ("deviation: {tag: U.T, from: U.T_SP, setpoint: 0 delta_degC}", "above 0"),
        ("rate: {tag: U.T, setpoint: 1 delta_degC, over: 1 min}", "does not convert"),
        ("discrepancy: {commanded: U.P}", "not a tag that can be written"),
        ("discrepancy: {commanded: U.FREE}", "name the tag that confirms it"),
        ("discrepancy: {commanded: U.V, confirmed: U.POS}", "different units or labels"),
        ("state: {tag: U.P, is: open}", "has no labels"),
        ("state: {tag: U.V, is: opne}", "did you mean 'open'?"),
        ("stale: {tag: U.P, setpoint: 10 s}\n    on_bad: hold", "leave on_bad out"),
        ("when: U.P > 5 psig\n    adjustable: {low: 1 psig, high: 2 psig}", "no setpoint"),
        (HIGH + "adjustable: {low: 6 psig, high: 8 psig}", "not between low and high"),
        (HIGH + "shelve_longest: 1 h\n    shelve_by: [quality]", "no role 'quality' may shelve"),
        (HIGH + "shelve_by: [engineer]", "may not be shelved at all"),
        (HIGH + "priority: high", "is of priority medium, not high"),
        (HIGH + "only_while: U.CONTENT = fool", "fool"),
    ],
)
def test_every_mistake_is_told_with_what_to_write(body: str, words: str) -> None:
    assert words in mistake(body)


def test_the_priority_never_falls_when_it_is_worse_or_there_is_less_time() -> None:
    order = list(Priority)
    times = (60.0, 300.0, 301.0, 1800.0, 1801.0, 86_400.0)
    for severity in Severity:
        ranks = [order.index(priority_of(severity, time)) for time in times]
        assert ranks == sorted(ranks, reverse=True)
    for time in times:
        ranks = [order.index(priority_of(severity, time)) for severity in Severity]
        assert ranks == sorted(ranks)


@pytest.mark.parametrize("name", ["demo", "tff"])
def test_every_alarm_of_the_shipped_plants_says_what_it_is_for(name: str) -> None:
    plant = load_plant(ROOT / "config" / "plants" / f"{name}.yaml")
    for spec in plant.alarms.values():
        assert all((spec.description, spec.cause, spec.consequence, spec.corrective_action)), spec.name
    kinds = {type(spec.test) for spec in plant.alarms.values()}
    assert kinds >= {LimitTest, DiscrepancyTest, StateTest, WatchdogTest, BadQualityTest, RateTest, ExpressionTest}
    engine = {"SYS.DIED", "SYS.SCAN_LATE", "SYS.LOOPS_LATE", "SYS.SCANS_MISSED", "SYS.STOOD_STILL"}
    assert engine <= set(plant.alarms)
