"""The testers' port."""

import json

import pytest

from simulators.faults import Faults
from simulators.plant import TffPlant
from simulators.wire.control import ControlServer


def server() -> tuple[ControlServer, TffPlant]:
    plant = TffPlant()
    return ControlServer(plant, Faults(plant), lambda: None), plant


def ask(control: ControlServer, **request: object) -> dict[str, object]:
    return control.answer(json.dumps(request).encode() + b"\n")


def test_truth_is_told() -> None:
    control, plant = server()
    assert ask(control, do="truth") == {"ok": plant.truth()}


def test_faults_begin_and_end() -> None:
    control, plant = server()
    assert ask(control, do="begin", fault={"kind": "skid_silent"}, for_s=10) == {"ok": 1}
    assert plant.skid_link.silent
    assert ask(control, do="faults") == {"ok": [{"number": 1, "fault": {"kind": "skid_silent"}, "until_s": 10.0}]}
    assert ask(control, do="end", number=1) == {"ok": None}
    assert not plant.skid_link.silent
    ask(control, do="begin", fault={"kind": "skid_silent"})
    assert ask(control, do="end_all") == {"ok": None}
    assert not plant.skid_link.silent


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[]",
        b"\xff\xfe",
        b'{"do": "explode"}',
        b'{"do": ["truth"]}',
        b'{"do": "begin"}',
        b'{"do": "begin", "fault": {"kind": "leak"}}',
        b'{"do": "begin", "fault": {"kind": "skid_silent"}, "for_s": "long"}',
        b'{"do": "begin", "fault": {"kind": "skid_silent"}, "for_s": NaN}',
        b'{"do": "end"}',
        b'{"do": "end", "number": 7}',
        b'{"do": "end", "number": true}',
    ],
)
def test_what_is_no_request_is_told_and_does_nothing(line: bytes) -> None:
    control, plant = server()
    answer = control.answer(line)
    assert list(answer) == ["error"]
    assert not plant.skid_link.silent
    assert ask(control, do="faults") == {"ok": []}
