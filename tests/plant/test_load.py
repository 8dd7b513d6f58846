"""Plant files: what is right is converted, what is wrong is told with its place."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcontrol.plant.load import load_plant, parse_plant
from evcontrol.plant.model import Plant
from evcontrol.yaml_source import SourceError

SHIPPED = Path(__file__).parents[2] / "config" / "plants" / "tff.yaml"
TEXT = SHIPPED.read_text(encoding="utf-8")
ENDPOINTS = {
    "simulated": True,
    "devices": {
        "TFF201": {"host": "127.0.0.1", "port": 15020},
        "WT-RET": {"port": "/tmp/ret"},
        "WT-PERM": {"port": "/tmp/perm"},
    },
}


@pytest.fixture(scope="module")
def plant() -> Plant:
    return load_plant(SHIPPED)


def mistakes(text: str, endpoints: dict[str, object] | None = None) -> list[str]:
    with pytest.raises(SourceError) as caught:
        parse_plant(text, "p.yaml", endpoints)
    return [str(m) for m in caught.value.mistakes]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_the_shipped_plant_is_right(plant: Plant) -> None:
    assert plant.scan_s == 1.0
    assert not plant.simulated
    assert plant.units["TFF201"].constants["hold_up"].to("mL") == 60.0
    assert plant.units["TFF201"].safe_states["default"]["TFF201.PCV101_SP"] == 100.0
    assert plant.loops["TFF201.PIC_TMP"].ti_s == 12.0
    rate = next(spec.rate for spec in plant.derived if spec.tag == "TFF201.PERM_RATE")
    assert rate is not None
    assert rate.per_s == 60.0


def test_every_writable_tag_that_moves_something_has_a_safe_state(plant: Plant) -> None:
    safe = plant.units["TFF201"].safe_states["default"]
    for tag, spec in plant.writes.items():
        assert tag in safe or spec.on_silence == "stays", tag


def test_simulated_endpoints_replace_addresses_and_mark_the_plant() -> None:
    plant = load_plant(SHIPPED, ENDPOINTS)
    assert plant.simulated
    assert plant.devices["TFF201"].options.model_dump()["port"] == 15020
    assert plant.devices["WT-RET"].options.model_dump()["port"] == "/tmp/ret"


def test_a_plant_half_simulated_is_refused() -> None:
    half = {"simulated": True, "devices": {"TFF201": {"host": "127.0.0.1", "port": 1}}}
    assert any("'WT-RET' is not simulated" in m for m in mistakes(TEXT, half))


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("driver: modbus-tcp", "driver: modbus-tpc", "driver: modbus-tpc", "did you mean 'modbus-tcp'"),
        ("unit_id: 1", "unit_di: 1", "options: {host", "unknown key 'unit_di'"),
        ("unit: mL/min, low: 0, high: 3000", "unit: mL/mn, low: 0, high: 3000", "unit: mL/mn", "mL/mn"),
        ("scan: 1 s", "scan: 1", "scan: 1", "quantity with its unit"),
        ("scan: 1 s", "scan: 1 kg", "scan: 1 kg", "scan:"),
        ("    constants:\n", "    constant:\n", "constant:", "did you mean 'constants'"),
        ("unit: mS/cm", 'unit: "%"', "address: 6", "%"),
        ("{tag: TFF201.WT_RET, tolerance: 2.0}", "{tag: TFF201.WT_RT, tolerance: 2.0}", "reconcile:", "did you mean"),
        ("TFF201.INLET: none", "TFF201.INLET: shut", "TFF201.INLET: shut", "no label 'shut'"),
        ("        TFF201.P102_SP: 0\n", "", "default:", "does not say where TFF201.P102_SP goes"),
        ("pv: TFF201.TMP\n", "pv: TFF201.TPM\n", "pv: TFF201.TPM", "did you mean 'TFF201.TMP'"),
        ("when: TFF201.TMP > 10 psi for 2 s", "when: TFF201.TMP > 10 mL for 2 s", "when: TFF201.TMP > 10 mL", "mL"),
        ("action: direct", "action: forward", "action: forward", "direct"),
        ("rate: {of: TFF201.WT_PERM", "rate: {of: TFF201.WT_PRM", "TFF201.PERM_RATE:", "did you mean"),
        (
            "kind: text, description: Installed",
            "kind: text, on_change: {max_interval: 60 s}, description: Installed",
            "TFF201.MODULE:",
            "set record: false",
        ),
        (
            "internal: true, kind: text, description: Installed",
            "kind: text, description: Installed",
            "TFF201.MODULE:",
            "exactly one of",
        ),
        (
            "address: 2, type: uint16, scale: 0.1, writable: true",
            "address: 2, type: uint16, scale: 0.1",
            "write: {on_silence: controller_watchdog, feedback: TFF201.P101_RUN",
            "not writable",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place_and_remedy(old: str, new: str, at: str, words: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    found = mistakes(text)
    assert any(words in m for m in found), found
    line = line_of(text, at)
    assert any(words in m and abs(int(m.split(":")[1]) - line) <= 2 for m in found), (line, found)


def test_what_only_a_driver_can_find_wrong_is_a_mistake_of_the_file() -> None:
    text = TEXT.replace("start_counter: TFF201.STARTS", "start_counter: TFF201.STRATS")
    assert any("STRATS" in m and "p.yaml:" in m for m in mistakes(text))


def test_all_mistakes_are_told_at_once() -> None:
    text = TEXT.replace("pv: TFF201.TMP\n", "pv: TFF201.TPM\n").replace("TFF201.INLET: none", "TFF201.INLET: shut")
    assert len(mistakes(text)) == 2


@pytest.mark.parametrize("text", ["", "[]", "just words", "name: x", "- 1\n- 2"])
def test_what_is_not_a_plant_file_is_told_so(text: str) -> None:
    assert mistakes(text)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_a_mutilated_plant_gives_messages_never_a_traceback(data: st.DataObject) -> None:
    lines = TEXT.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 3))):
        i = data.draw(st.integers(0, len(lines) - 1))
        lines[i] = data.draw(
            st.sampled_from(["", lines[i][:20] + "\n", lines[i].replace(":", ""), "  x: 1\n", lines[i] * 2])
        )
    with contextlib.suppress(SourceError):
        parse_plant("".join(lines), "p.yaml")


def test_a_point_that_is_writable_must_say_what_it_does_on_silence() -> None:
    silent = "\n".join(line for line in TEXT.splitlines() if "write: {on_silence: stays, resolution: 1}" not in line)
    assert silent != TEXT
    [mistake] = [one for one in mistakes(silent) if "no write" in one]
    assert "'TFF201.TRIP_RESET': its point is writable, but it has no write" in mistake
    assert f"p.yaml:{line_of(silent, '  TFF201.TRIP_RESET:')}:" in mistake


def test_a_unit_on_a_shared_line_is_guarded_by_its_own_watchdog_alone() -> None:
    other = TEXT.replace("table: holding,", "table: holding, unit_id: 2,")
    told = mistakes(other)
    assert all("unit 2 of TFF201 has neither watchdog nor heartbeat" in one for one in told)
    assert told
    own = other.replace("options: {host: ", "options: {units: {2: {heartbeat: 0}}, host: ")
    assert own != other
    assert parse_plant(own, "p.yaml").writes


def test_what_is_written_belongs_to_a_unit() -> None:
    ghost = TEXT.replace("TFF201.P101_SP:\n", "GHOST.P101_SP:\n")
    assert ghost != TEXT
    assert any("'GHOST.P101_SP' is written, and belongs to no unit" in one for one in mistakes(ghost))


def test_an_actuator_cannot_count_on_a_watchdog_that_nobody_feeds() -> None:
    unfed = TEXT.replace("heartbeat: 0, ", "").replace(", watchdog: {address: 1, scale: 0.1, seconds: 10}", "")
    assert unfed.count("heartbeat") < TEXT.count("heartbeat")
    told = mistakes(unfed)
    assert len(told) == TEXT.count("on_silence: controller_watchdog")
    assert all("a watchdog that nobody feeds: TFF201 has neither watchdog nor heartbeat" in one for one in told)
    stays = unfed.replace("on_silence: controller_watchdog", "on_silence: runs_on")
    assert {spec.on_silence for spec in parse_plant(stays, "p.yaml").writes.values()} == {"runs_on", "stays"}
