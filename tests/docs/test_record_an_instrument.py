"""docs/how-to/record-an-instrument.md: its plant is one, and its recording is replayed by its program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from drivers.capture import Event, read_capture
from drivers.sbi import SbiOptions
from evcontrol.plant.load import parse_plant
from tests.docs.examples import fenced

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "record-an-instrument.md").read_text(encoding="utf-8")


def test_its_plant_records_a_balance_and_has_no_mistake() -> None:
    (text,) = fenced(TEXT, "yaml")
    options = parse_plant(text, "recording.yaml").devices["WT-RET"].options
    assert isinstance(options, SbiOptions)
    assert options.capture == "balance.jsonl"


def test_its_recording_is_replayed_by_its_program(tmp_path: Path) -> None:
    (recording,), (program,) = fenced(TEXT, "json"), fenced(TEXT, "python")
    (tmp_path / "balance.jsonl").write_text(recording, encoding="utf-8")
    (session,) = read_capture(tmp_path / "balance.jsonl")
    assert session[-1].event is Event.CLOSE
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.decode(), done.stderr.decode()) == ("100.0\n", "")


def test_every_event_is_told() -> None:
    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE) == [event.value for event in Event]
