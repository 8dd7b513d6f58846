"""``evcontrol demo`` as a person runs it: it answers, ends orderly, and leaves nothing running."""

import json
import os
import signal
from pathlib import Path

import pytest

from evcontrol.cli.demo_script import load_script
from evcontrol.cli.main import main
from evcontrol.plant.load import load_plant
from evcontrol.procedure.recipe import Level, load_recipe
from tests.cli.processes import CELL, EV_BATCH, PLANT, RECIPE, evcontrol, kinds, started, until

WHOLE_S = 400.0


def pids(data: Path) -> list[int]:
    """The simulators and the engine of a demo that runs."""
    files = ("simulators.json", "endpoint.json")
    return [json.loads((data / "run" / name).read_text())["pid"] for name in files]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_script_knows_every_phase_of_the_shipped_recipe_and_only_tags_of_the_plant() -> None:
    script = load_script()
    recipes = [load_recipe(RECIPE), load_recipe(EV_BATCH)]
    phases = {step.path for recipe in recipes for step in recipe.procedure.walk() if step.level is Level.PHASE}
    assert set(script.minutes) <= phases
    assert {path.partition("/")[0] for path in script.minutes} == {path.partition("/")[0] for path in phases} - {
        "storage"
    }
    assert set(script.key_tags) <= set(load_plant(CELL).tags.names())
    assert set(script.parameters) <= set(load_recipe(EV_BATCH).parameters)


def test_ctrl_c_ends_it_with_the_plant_safe_and_nothing_left_running(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    with started("demo", "--headless", "--out", str(data)) as demo:
        until((data / "run" / "endpoint.json").exists, demo)
        left = pids(data)
        until(lambda: "prompt.answered" in kinds(data), demo)
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=30)
        assert demo.returncode == 130
        assert "every unit is in its safe state" in out
        assert "the demo was ended" in err
        assert all(is_gone(pid) for pid in left)
    assert kinds(data)[-1] == "engine.stopped"


def test_a_data_directory_that_is_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "people.json").write_text("{}")
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--headless", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["people.json"]


def test_a_wrong_recipe_is_named_before_anything_is_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.read_text().replace("phase: flush", "phase: flsuh"))
    line = next(n for n, text in enumerate(recipe.read_text().splitlines(), 1) if "flsuh" in text)
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--headless", "--out", str(tmp_path / "demo"), "--recipe", str(recipe)])
    assert ended.value.code == 1
    err = capsys.readouterr().err
    assert f"{recipe}:{line}:" in err
    assert "did you mean 'flush'?" in err
    assert not (tmp_path / "demo").exists()


@pytest.mark.full
@pytest.mark.timeout(WHOLE_S)
def test_a_whole_demo_is_complete_and_sound(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    with started("demo", "--headless", "--out", str(data)) as demo:
        out, err = demo.communicate(timeout=WHOLE_S)
        assert demo.returncode == 0, (out, err)
    assert "B-0001 Complete" in out
    assert "closes" in out
    assert (data / "reports" / "B-0001.html").exists()
    assert evcontrol("record", "verify", "B-0001", "--data", str(data)).returncode == 0


@pytest.mark.full
@pytest.mark.timeout(WHOLE_S)
def test_a_batch_that_is_held_ends_the_demo_with_the_reason(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.read_text().replace("feed_mass: {value: 1950 g", "feed_mass: {value: 2600 g"))
    skid = ("--plant", str(PLANT))
    with started("demo", "--headless", "--out", str(tmp_path / "demo"), *skid, "--recipe", str(recipe)) as demo:
        out, err = demo.communicate(timeout=WHOLE_S)
        assert demo.returncode == 1, (out, err)
    assert "Held" in out
    assert "nothing flows from feed" in out


@pytest.mark.full
@pytest.mark.timeout(WHOLE_S)
def test_an_engine_that_dies_ends_the_demo_in_words(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    with started("demo", "--headless", "--out", str(data)) as demo:
        until(lambda: (data / "run" / "endpoint.json").exists() and "prompt.answered" in kinds(data), demo)
        left = pids(data)
        os.kill(left[1], signal.SIGKILL)
        _, err = demo.communicate(timeout=60)
        assert demo.returncode == 1
    assert "the engine ended with status -9" in err
    assert all(is_gone(pid) for pid in left)
