"""``evcontrol simulate`` as a process of its own."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PLANT = Path(__file__).parents[2] / "config" / "plants" / "tff.yaml"
PROGRAM = """
import sys, typer
from evcontrol.cli.fault import CliError
from evcontrol.cli.simulate import simulate

app = typer.Typer()
app.command()(simulate)
try:
    sys.exit(app(sys.argv[1:], standalone_mode=False))
except CliError as error:
    print(error, file=sys.stderr)
    sys.exit(error.status)
"""


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def up(process: subprocess.Popen[str]) -> list[str]:
    """Wait until it has said where everything is."""
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(3)]


def test_it_serves_until_its_input_ends(tmp_path: Path) -> None:
    process = started(str(PLANT), "--data", str(tmp_path), "--until-eof")
    shown = up(process)
    endpoints = json.loads((tmp_path / "run" / "simulators.json").read_text())
    assert endpoints["simulated"] is True
    assert set(endpoints["devices"]) == {"TFF201", "WT-RET", "WT-PERM"}
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert shown[0] == f"TFF201 at 127.0.0.1:{endpoints['devices']['TFF201']['port']}\n"
    assert not (tmp_path / "run" / "simulators.json").exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_orderly(tmp_path: Path, number: int, status: int) -> None:
    process = started(str(PLANT), "--data", str(tmp_path))
    up(process)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (status, "")
    assert (tmp_path / "simulator" / "state.json").exists()


def test_a_wrong_fault_file_is_told_before_anything_is_served(tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("- {at_s: 1, fault: {kind: flood}}\n")
    process = started(str(PLANT), "--data", str(tmp_path), "--faults", str(faults))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.startswith(f"{faults}: ")
    assert not (tmp_path / "run").exists()


def test_a_plant_that_is_not_simulated_is_told_by_its_device(tmp_path: Path) -> None:
    plant = tmp_path / "plant.yaml"
    plant.write_text(PLANT.read_text().replace("WT-PERM", "WT-OTHER").replace("LINK_WT_PERM", "LINK_WT_OTHER"))
    process = started(str(plant), "--data", str(tmp_path))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "device 'WT-OTHER' (mt-sics) is not simulated" in err
