"""The section influxdb: mistakes are told with their place, and a simulated plant never gets the production bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evcontrol.plant.load import load_plant, parse_plant
from evcontrol.plant.model import Plant
from evcontrol.yaml_source import SourceError

PLANT = """\
name: Suite
scan: 1 s
wire_scan: 50 ms
devices: {}
units:
  U1: {class: tff, content_tag: U1.CONTENT, safe_states: {default: {}}, safe_within: 2 s}
tags:
  U1.CONTENT: {internal: true, kind: enum, labels: [empty]}
"""
GOOD = {"url": "http://influx:8086", "org": "lab", "bucket": "production", "token_env": "INFLUX_WORD"}
SIMULATED = {"simulated": True, "devices": {}}


def section(**changes: str | None) -> str:
    """The section with some keys changed, or without those that are None."""
    keys = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return "influxdb:\n" + "".join(f"  {name}: {value}\n" for name, value in keys.items())


def loaded(text: str, endpoints: dict[str, Any] | None = None) -> Plant:
    return parse_plant(text, "plant.yaml", endpoints)


def told(text: str, endpoints: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(SourceError) as caught:
        loaded(text, endpoints)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_without_the_section_nothing_is_forwarded() -> None:
    assert loaded(PLANT).target is None


def test_a_real_plant_writes_to_its_bucket() -> None:
    target = loaded(PLANT + section(simulated_bucket="trial", url="https://influx/", timeout="5 s")).target
    assert target is not None
    assert (target.url, target.org, target.bucket) == ("https://influx", "lab", "production")
    assert (target.plant, target.simulated, target.token_env, target.token_file) == ("Suite", False, "INFLUX_WORD", "")
    assert (target.timeout_s, target.longest_pause_s, target.batch_lines) == (5.0, 30.0, 500)


def test_a_simulated_plant_writes_to_the_other_one() -> None:
    target = loaded(PLANT + section(simulated_bucket="trial"), SIMULATED).target
    assert target is not None
    assert (target.bucket, target.simulated) == ("trial", True)


def test_a_simulated_plant_without_a_bucket_of_its_own_is_refused() -> None:
    (line,) = told(PLANT + section(), SIMULATED)
    assert line == "plant.yaml:12:11: a simulated plant never writes to 'production': give a simulated_bucket"


@pytest.mark.parametrize("endpoints", [None, SIMULATED])
def test_one_bucket_for_both_is_refused(endpoints: dict[str, Any] | None) -> None:
    (line,) = told(PLANT + section(simulated_bucket="production"), endpoints)
    assert "simulated_bucket is the production bucket" in line


def test_a_token_in_the_file_is_refused_and_not_shown() -> None:
    (line,) = told(PLANT + section(token="s3cr3t", token_env=None))
    assert line.startswith("plant.yaml:13:10: token: a token never stands in a file")
    assert "s3cr3t" not in line


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"url": "influx:8086"}, "url: write it as"),
        ({"url": "ftp://influx"}, "url: write it as"),
        ({"url": "http://"}, "url: write it as"),
        ({"url": "http://influx:99999"}, "url: write it as"),
        ({"url": "http://influx/?db=x"}, "url: write it as"),
        ({"url": "http://olivia:word@influx"}, "url: no name or password here"),
        ({"org": "''"}, "org: it must not be empty"),
        ({"bucket": "'production '"}, "bucket: it must not be empty, nor begin or end with a space"),
        ({"bucket": None}, "'bucket' is missing"),
        ({"token_env": None}, "give either token_env or token_file"),
        ({"token_file": "word"}, "give either token_env or token_file"),
        ({"timeout": "0 s"}, "timeout must be longer than 0 s"),
        ({"timeout": "10"}, "write a quantity with its unit"),
        ({"longest_pause": "0 s"}, "longest_pause must be longer than 0 s"),
        ({"batch_lines": "0"}, "batch_lines"),
        ({"bucket_": "x"}, "unknown key 'bucket_' (did you mean 'bucket'?)"),
    ],
)
def test_a_mistake_is_told_in_one_line(changes: dict[str, str | None], what: str) -> None:
    (line,) = told(PLANT + section(**changes))
    assert line.startswith("plant.yaml:")
    assert what in line


def test_a_name_that_cannot_go_along_is_refused() -> None:
    (line,) = told(PLANT.replace("name: Suite", 'name: "Suite\\\\"') + section())
    assert "the plant's name goes along" in line
    (line,) = told(PLANT + "  U1.A__q: {internal: true, low: 0, high: 1}\n" + section())
    assert "names ending in __q are those of qualities" in line


def test_the_tag_of_the_state_needs_its_words() -> None:
    (line,) = told(PLANT + "  SYS.FORWARD_STATE: {internal: true, kind: enum, labels: [off, forwarding]}\n")
    assert "labels [off, starting, forwarding, waiting, refused, stopped]" in line
    (line,) = told(PLANT + "  SYS.FORWARD_REASON: {internal: true, low: 0, high: 1}\n")
    assert "SYS.FORWARD_REASON: kind text" in line


def test_a_file_of_its_own_is_used_instead(tmp_path: Path) -> None:
    plant, other = tmp_path / "plant.yaml", tmp_path / "influx.yaml"
    plant.write_text(PLANT + section(), encoding="utf-8")
    other.write_text(section(bucket="elsewhere", simulated_bucket="trial"), encoding="utf-8")
    here, there = load_plant(plant).target, load_plant(plant, influxdb=other).target
    assert here is not None
    assert there is not None
    assert (here.bucket, there.bucket) == ("production", "elsewhere")
    assert load_plant(plant, influxdb=other).hash == load_plant(plant).hash


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ":1:1: it must hold the section 'influxdb'"),
        ("bucket: x\n", ":1:1: 'influxdb' is missing"),
        (section(token="s3cr3t"), ":6:10: token: a token never stands in a file"),
        (section(url="nowhere"), ":2:8: url: write it as"),
    ],
)
def test_mistakes_of_that_file_have_their_place_there(tmp_path: Path, text: str, line: str) -> None:
    plant, other = tmp_path / "plant.yaml", tmp_path / "influx.yaml"
    plant.write_text(PLANT, encoding="utf-8")
    other.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        load_plant(plant, influxdb=other)
    assert any(str(mistake).startswith(f"{other}{line}") for mistake in caught.value.mistakes)
