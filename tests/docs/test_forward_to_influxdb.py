"""docs/how-to/forward-to-influxdb.md: its files are taken as they stand, and its figures are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML

from evcontrol.history import carry, cursor, forward_worker, line
from evcontrol.history.cursor import TABLES
from evcontrol.history.forward_state import ForwardState
from evcontrol.history.layout import Gap
from evcontrol.history.line import Lines
from evcontrol.plant.influx import read_section
from evcontrol.plant.load import parse_plant
from evcontrol.quality import BAD, UNCERTAIN
from tests.docs.examples import fenced
from tests.history.plant import make_tags
from tests.plant.test_influx import PLANT

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "forward-to-influxdb.md").read_text(encoding="utf-8")
DATA = (ROOT / "docs" / "reference" / "data-directory.md").read_text(encoding="utf-8")
SECTION, TAGS, ALARMS = fenced(TEXT, "yaml")


def test_the_section_is_taken_for_simulated_and_real_plants(tmp_path: Path) -> None:
    file = tmp_path / "influx.yaml"
    file.write_text(SECTION, encoding="utf-8")
    for endpoints, bucket in ((None, "production"), ({"simulated": True, "devices": {}}, "trial")):
        target = parse_plant(PLANT, "plant.yaml", endpoints, read_section(file)).target
        assert target is not None
        assert target.bucket == bucket


def test_the_tags_are_taken_as_they_stand() -> None:
    plant = parse_plant(PLANT + TAGS.removeprefix("tags:\n"), "plant.yaml")
    engine = (ROOT / "evcontrol" / "engine.py").read_text(encoding="utf-8")
    assert set(re.findall(r'"(SYS\.FORWARD_\w+)"', engine)) == {t.name for t in plant.tags if "FORWARD" in t.name}


def test_the_alarm_is_taken_as_it_stands_and_is_that_of_the_demo() -> None:
    plant = parse_plant(PLANT + TAGS.removeprefix("tags:\n") + ALARMS, "plant.yaml")
    demo = (ROOT / "config" / "plants" / "demo.yaml").read_text(encoding="utf-8")
    assert list(plant.alarms) == ["SYS.FORWARD_BEHIND"]
    assert ALARMS.removeprefix("alarms:\n").splitlines()[-1] in demo


def test_every_state_is_told() -> None:
    table = TEXT.split("| State |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [state.value for state in ForwardState]


def test_measurements_tags_and_fields_are_as_told() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`.*?) \| (.*?) \|", TEXT, re.MULTILINE)
    told = {name: (set(re.findall(r"`(\w+)`", tags)), set(re.findall(r"`(\w+)`", more))) for name, tags, more in rows}
    lines = Lines("P", simulated=False)
    tag = make_tags()[0]
    made = {
        line.READINGS: lines.frames("g", [tag]).line(1, [1.0], [0], {})[0],
        line.DEFINITIONS: lines.definitions("g", [tag], 1)[0],
        line.GAPS: lines.gap(Gap(1, 2, "x")),
        line.QUARANTINED: lines.quarantined(1, "x", "y"),
    }
    assert set(told) == set(made)
    for name, text in made.items():
        head, fields, _ = text.decode().split(" ")
        assert {part.partition("=")[0] for part in head.split(",")[1:]} == told[name][0]
        if name != line.READINGS:
            assert {part.partition("=")[0] for part in fields.split(",")} == told[name][1]


def test_the_figures_are_those_of_the_code() -> None:
    assert f"from {UNCERTAIN} it is" in " ".join(TEXT.split())
    assert f"from {BAD} Bad" in TEXT
    assert f"has {forward_worker.FINISH_S:.0f} seconds for the last readings" in TEXT
    assert (forward_worker.FIRST_PAUSE_S, forward_worker.LONGEST_PAUSE_S) == (1.0, 60.0)
    assert carry.LONGEST_RETRY_AFTER_S == 3600.0
    assert f"of the first {cursor.LINES_KEPT} the line" in DATA


def test_the_tables_of_forward_db_are_told() -> None:
    chapter = DATA.split("\n## Forwarding\n")[1].split("\n## ")[0]
    assert re.findall(r"^\* `(\w+)`", chapter, re.MULTILINE) == re.findall(r"TABLE (\w+)", "".join(TABLES))


def test_compose_opens_no_port_to_others_and_holds_no_secret() -> None:
    compose = YAML(typ="safe").load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    (service,) = compose["services"].values()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    variables = service["environment"]
    assert not {"PASSWORD", "TOKEN"} & {name.rpartition("_")[2] for name in variables}
    for name, value in variables.items():
        if name.endswith("_FILE"):
            secret = value.removeprefix("/run/secrets/")
            assert secret in service["secrets"]
            assert f"`{compose['secrets'][secret]['file']}`" in TEXT
    assert "never been run" in TEXT
