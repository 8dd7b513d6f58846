"""docs/explanation/{numbers,dependencies}.md: the figures are those of config/, and every dependency is named."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from evcontrol.phases.clean import Clean

ROOT = Path(__file__).parents[2]
NUMBERS = (ROOT / "docs" / "explanation" / "numbers.md").read_text(encoding="utf-8")
DEPENDENCIES = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def config(name: str) -> dict[str, Any]:
    data: dict[str, Any] = YAML(typ="safe").load((ROOT / "config" / name).read_text(encoding="utf-8"))
    return data


PLANT, RECIPE = config("plants/tff.yaml"), config("recipes/ultrafiltration.yaml")


def figure(text: str) -> str:
    """The number of a quantity."""
    return str(text).partition(" ")[0]


def limits(parameter: str) -> str:
    spec = RECIPE["parameters"][parameter]
    return f"({figure(spec['low'])} to {figure(spec['high'])})"


def phase(name: str) -> dict[str, Any]:
    text = (ROOT / "config" / "recipes" / "ultrafiltration.yaml").read_text(encoding="utf-8")
    steps = re.findall(rf"- phase: {name}\n +with: (.*)", text)
    return {"text": steps[0]}


def setpoint(alarm: dict[str, Any]) -> str:
    return str(alarm["high"]["setpoint"]).partition(" ")[0]


def threshold(text: str) -> str:
    found = re.search(r"[<>] ([\d.]+)", text)
    assert found is not None
    return found[1]


def test_the_figures_are_those_of_the_configuration() -> None:
    interlocks, alarms, loops = PLANT["interlocks"], PLANT["alarms"], PLANT["loops"]
    alarm, interlock = setpoint(alarms["TFF201.TMP_HIGH"]), threshold(interlocks["TFF201.HIGH_TMP"]["when"])
    tmp, weight = loops["TFF201.PIC_TMP"], loops["TFF201.WIC_RET"]
    unit = PLANT["units"]["TFF201"]
    defaults = {argument.name: float(argument.default or 0) for argument in Clean.arguments if argument.unit == ""
                and argument.name in ("accept", "reject")}  # fmt: skip
    tolerance = [figure(item["tolerance"]) for item in unit["reconcile"]]
    told = [
        f"TMP {RECIPE['parameters']['tmp']['value']} {limits('tmp')}",
        f"alarm {alarm}, interlock {interlock}",
        f"interlock {threshold(interlocks['TFF201.FEED_PRESSURE']['when'])} psig, the controller's own trip 30",
        f"cross-flow {RECIPE['parameters']['cross_flow']['value']} {limits('cross_flow')}",
        f"shear rate alarm {setpoint(alarms['TFF201.SHEAR_HIGH'])} 1/s",
        f"concentration {RECIPE['parameters']['concentration']['value']} {limits('concentration')}",
        f"{figure(RECIPE['parameters']['diavolumes']['value'])} diavolumes {limits('diavolumes')}",
        f"module clean from {100 * defaults['accept']:g} % of its first permeability, rejected below "
        f"{100 * defaults['reject']:g} %",
        f"TMP loop: {tmp['gain']:g} %open/psi, Ti {tmp['ti']}, scans up to {tmp['max_scan']}",
        f"weight loop: {weight['gain']:g} mL/min per g, Ti {weight['ti']}, scans up to {weight['max_scan']}",
        f"hold-up {unit['constants']['hold_up']}, residual {unit['constants']['residual']}",
        f"least volume in the vessel {unit['constants']['least']}",
        f"{float(tolerance[0]):g} g of each balance, {float(tolerance[2]):g} mL of the totaliser",
        f"watchdog {PLANT['devices']['TFF201']['options']['watchdog']['seconds']} s",
        f"bad input: {interlocks['TFF201.HIGH_TMP']['tolerance']} for pressures and weights, "
        f"{interlocks['TFF201.PERMEATE_MISMATCH']['tolerance']} for the two permeate meters",
    ]
    for words in told:
        assert words in NUMBERS, words
    assert "until: (tff.CT > 1.5 mS/cm and tff.CT < 2.5 mS/cm)" in phase("equilibrate")["text"]
    assert "tff.CT < 0.5 mS/cm" in phase("clean")["text"]
    assert "min_nwp: 100 LMH/bar" in phase("flush")["text"]


def test_the_arithmetic_is_right() -> None:
    module = PLANT["modules"]["HF500-1600"]
    radius_cm = float(figure(module["fibre_radius"])) / 10.0
    per_flow = 4.0 / (module["fibres"] * math.pi * radius_cm**3)
    for flow, shear in ((600.0, 2000.0), (1200.0, 4000.0), (1800.0, 6000.0)):
        assert flow / 60.0 * per_flow == pytest.approx(shear, rel=0.01)
    gain_per_s, ti = (
        PLANT["loops"]["TFF201.WIC_RET"]["gain"] / 60.0,
        float(figure(PLANT["loops"]["TFF201.WIC_RET"]["ti"])),
    )
    assert gain_per_s == pytest.approx(0.25)
    assert 0.5 * math.sqrt(gain_per_s * ti) == pytest.approx(1.6, abs=0.05)
    assert math.floor(1000.0 * (1.0 - math.exp(-6.0))) / 10.0 == 99.7
    feed, factor = (float(figure(RECIPE["parameters"][name]["value"])) for name in ("feed_mass", "concentration"))
    assert f"{feed / factor:g} g of {feed:g} g" in NUMBERS


def test_the_trip_of_the_simulated_controller_is_that_of_its_manual() -> None:
    manual = (ROOT / "docs" / "reference" / "simulated-skid.md").read_text(encoding="utf-8")
    line = next(line for line in manual.splitlines() if "TRIP_LIMIT" in line)
    assert "30" in line


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~\[; ]", requirement)[0] for requirement in requirements}


def test_every_dependency_is_named() -> None:
    table, development = DEPENDENCIES.split("\nFor development:")
    cells = re.findall(r"^\| (?!Package)([\w., -]+?)(?: \([^|]*\))? \|", table, re.MULTILINE)
    told = {name.strip() for cell in cells for name in cell.split(",")}
    assert told - {"SQLite"} == names(PROJECT["dependencies"])
    for name in names(PROJECT["optional-dependencies"]["dev"]):
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", development), name


def test_what_is_told_of_the_lock_is_so() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^([\w.-]+)==.*(\\)$", lock, re.MULTILINE)
    wanted = names(PROJECT["dependencies"]) | names(PROJECT["optional-dependencies"]["dev"])
    assert {name.lower() for name, _ in pinned} >= {name.lower().replace(".", "-") for name in wanted}
    assert lock.count("--hash=sha256:") >= len(pinned)
    assert "pymodbus==" in "".join(PROJECT["dependencies"])
