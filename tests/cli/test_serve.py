"""``evcontrol serve`` as a process of its own: it is found, it is alone, and it ends with the plant safe."""

import asyncio
import json
import signal
import stat
from pathlib import Path

import pytest

from evcontrol.api import endpoint
from evcontrol.api.client import Client
from evcontrol.api.listen import bind
from evcontrol.api.schema import Snapshot
from evcontrol.cli import serve
from evcontrol.cli.main import main
from evcontrol.cli.stopping import StopRequest
from evcontrol.engine import Engine
from evcontrol.journal.store import Journal, JournalUnavailableError
from evcontrol.plant.load import load_plant
from tests.cli.processes import PLANT, evcontrol, kinds, served, simulated, started, until

SAFE = "every unit is in its safe state"


def read(data: Path) -> Snapshot:
    async def run() -> Snapshot:
        async with Client.of(data) as client:
            return await client.snapshot()

    return asyncio.run(run())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_makes_the_plant_safe_and_ends_it(tmp_path: Path, number: int) -> None:
    with simulated(tmp_path), served(tmp_path) as engine:
        shown = read(tmp_path)
        assert {link.state for link in shown.links} == {"ready"}
        assert shown.status.simulated
        assert stat.S_IMODE((tmp_path / "run" / "token").stat().st_mode) == 0o600
        engine.send_signal(number)
        out, err = engine.communicate(timeout=20)
        assert (engine.returncode, err) == (0, "")
        assert out.splitlines()[-1] == f"asked by {signal.Signals(number).name}; {SAFE}"
        assert not (tmp_path / "run" / "endpoint.json").exists()
        assert kinds(tmp_path)[-1] == "engine.stopped"
        assert "safe.state" in kinds(tmp_path)


def test_the_end_of_its_input_ends_it_and_another_can_follow(tmp_path: Path) -> None:
    with simulated(tmp_path):
        for _ in range(2):
            with served(tmp_path, "--until-eof", "--speed", "20") as engine:
                assert endpoint.find(tmp_path)[0].pid == engine.pid
                shown = read(tmp_path).status
                assert (shown.clock, shown.speed) == ("scaled", 1.0)  # while no batch runs
                out, _ = engine.communicate(timeout=20)
                assert engine.returncode == 0
                assert SAFE in out.splitlines()[-1]


def test_what_cannot_be_reached_is_named_and_the_status_says_so(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulators, served(tmp_path) as engine:
        simulators.kill()
        until(lambda: {link.state for link in read(tmp_path).links} != {"ready"}, engine)
        engine.send_signal(signal.SIGTERM)
        _, err = engine.communicate(timeout=20)
        assert engine.returncode == 1
        last = err.splitlines()[-1]
        assert "NOT proven to be in the safe state" in last
        assert "TFF201.P101_SP" in last


def test_a_second_engine_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    with simulated(tmp_path), served(tmp_path, "--speed", "10"):
        speeds = (tmp_path / "run" / "speed.jsonl").read_bytes()
        endpoints = str(tmp_path / "run" / "simulators.json")
        second = evcontrol("serve", str(PLANT), "--data", str(tmp_path), "--endpoints", endpoints)
        assert second.returncode == 1
        assert len(second.stderr.splitlines()) == 1
        assert "one at a time" in second.stderr
        assert (tmp_path / "run" / "speed.jsonl").read_bytes() == speeds
        assert read(tmp_path).status.plant


@pytest.mark.parametrize(
    ("more", "status", "told"),
    [
        (["--speed", "3"], 2, "real equipment runs at speed 1 only"),
        (["--speed", "0.5"], 2, "--speed"),
        (["--listen", "nowhere"], 2, "write HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], 2, "write HOST:PORT"),
        (["--endpoints", "no-such-file"], 1, "no-such-file: No such file"),
        (["--endpoints", str(PLANT)], 1, "not JSON"),
    ],
)
def test_wrong_use_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], status: int, told: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", str(PLANT), "--data", str(tmp_path), *more])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (status, "")
    assert len(err.splitlines()) == 1
    assert told in err


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        done = evcontrol(
            "serve", str(PLANT), "--data", str(tmp_path), "--listen", f"127.0.0.1:{taken.getsockname()[1]}"
        )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "cannot listen on" in done.stderr


def test_mistakes_of_a_plant_file_have_their_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant = tmp_path / "plant.yaml"
    plant.write_text(PLANT.read_text().replace("scan: 1 s", "scan: 1 kg"))
    with pytest.raises(SystemExit) as ended:
        main(["serve", str(plant), "--data", str(tmp_path)])
    assert ended.value.code == 1
    assert f"{plant}:6:" in capsys.readouterr().err


def test_a_damaged_journal_is_not_gone_on_with(tmp_path: Path) -> None:
    with simulated(tmp_path):
        with served(tmp_path, "--until-eof") as engine:
            engine.communicate(timeout=20)
        (segment,) = (tmp_path / "journal").glob("*.jsonl")
        segment.write_text(segment.read_text().replace('"simulated":true', '"simulated":null', 1))
        done = evcontrol("serve", str(PLANT), "--data", str(tmp_path))
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "journal" in done.stderr
        assert segment.name in done.stderr


def serve_here(data: Path) -> int:
    """The same in this process, on instruments that are simulated."""
    endpoints = json.loads((data / "run" / "simulators.json").read_text())
    plant = load_plant(PLANT, endpoints)

    async def run() -> int:
        with bind("127.0.0.1", 0) as listener:
            engine = serve._make_engine(plant, data)
            return await serve._Service(engine, listener, "127.0.0.1", 1.0, StopRequest()).run()

    return asyncio.run(run())


def test_a_failed_task_of_the_engine_makes_the_plant_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(self: Engine) -> None:
        await self.scanner.next_scan()
        raise ZeroDivisionError("nobody foresaw it")

    monkeypatch.setattr(Engine, "failed", fails)
    with simulated(tmp_path):
        assert serve_here(tmp_path) == 1
    (last,) = [line for line in capsys.readouterr().out.splitlines() if SAFE in line]
    assert "internal error (ZeroDivisionError: nobody foresaw it)" in last
    assert kinds(tmp_path)[-1] == "engine.stopped"


def test_a_journal_that_cannot_be_written_at_the_start_is_one_line_and_nothing_is_commanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuses(self: Journal, *_: object, **__: object) -> None:
        raise JournalUnavailableError("No space left on device")

    monkeypatch.setattr(Journal, "record", refuses)
    with simulated(tmp_path):
        assert serve_here(tmp_path) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "the journal cannot be written (No space left on device)" in err
    assert not (tmp_path / "run" / "endpoint.json").exists()


def test_an_address_beyond_this_machine_is_warned_of(tmp_path: Path) -> None:
    with simulated(tmp_path), served(tmp_path, "--listen", "0.0.0.0:0", "--until-eof") as engine:
        assert read(tmp_path).status.simulated
        assert endpoint.find(tmp_path)[0].url.startswith("http://127.0.0.1:")
        _, err = engine.communicate(timeout=20)
        assert "unencrypted" in err


def test_a_start_without_equipment_is_told(tmp_path: Path) -> None:
    with started("serve", str(PLANT), "--data", str(tmp_path), "--until-eof") as engine:
        until((tmp_path / "run" / "endpoint.json").exists, engine)
        _, err = engine.communicate(timeout=20)
        assert "TFF201 is disconnected" in err or "TFF201 is connecting" in err
        assert engine.returncode == 1
