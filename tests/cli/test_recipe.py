"""``evcontrol recipe``: files are compared without an engine, and versions are brought into force at a running one."""

import asyncio
from pathlib import Path

import pytest

from evcontrol.api import endpoint
from evcontrol.api.schema import Endpoint
from evcontrol.cli.commands import run
from evcontrol.cli.main import main
from tests.api.served import PASSWORD, Served, recipe_text, serve
from tests.cli.processes import RECIPE


def test_two_files_are_compared_in_the_terms_of_recipes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.yaml"
    text = RECIPE.read_text(encoding="utf-8")
    assert "tmp: {value: 4 psi" in text
    other.write_text(text.replace("tmp: {value: 4 psi", "tmp: {value: 5 psi"), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["recipe", "diff", str(RECIPE), str(other)])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "parameter tmp: value 4 psi -> 5 psi\n"


def test_a_version_without_an_engine_is_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["recipe", "diff", str(RECIPE), "0123456789ab", "--data", str(tmp_path)])
    assert ended.value.code != 0
    err = capsys.readouterr().err
    assert err.startswith("evcontrol: ")
    assert err.count("\n") == 1


def test_a_recipe_is_brought_into_force_and_the_next_version_is_shown_against_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVCONTROL_PASSWORD", PASSWORD)
    data, old, new = tmp_path / "data", tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(recipe_text(), encoding="utf-8")
    text = recipe_text().replace("tmp: {value: 4 psi", "tmp: {value: 5 psi").replace("version: ", "version: 9.", 1)
    new.write_text(text, encoding="utf-8")

    async def work(served: Served) -> None:
        where = Endpoint(url=served.url, pid=1, plant="tff", simulated=True)
        served.desk.run_token = endpoint.publish(data, where)

        async def command(*arguments: str, status: int = 0) -> str:
            assert await asyncio.to_thread(run, [*arguments, "--data", str(data)]) == status
            told = capsys.readouterr()
            return told.out + told.err

        async def decide(decision: str, which: str, **options: int) -> str:
            return await command("recipe", decision, which, "--user", "quentin", "--reason", "reviewed", **options)

        async def submit(path: Path) -> str:
            told = await command("recipe", "submit", str(path), "--user", "olivia", "--reason", "better")
            return told.partition("(")[2].partition(")")[0]

        async def start_gmp(path: Path, status: int) -> str:
            options = ("--purpose", "a test", "--kind", "gmp", "--user", "olivia")
            return await command("batch", "start", str(path), *options, status=status)

        assert "a GMP batch needs an approved recipe" in await start_gmp(old, 1)
        first = await submit(old)
        assert "is approved, signed by quentin" in await decide("approve", first)
        second = await submit(new)
        told = await command("recipe", "show", second)
        assert "which is approved:\nrecipe: version" in told
        assert told.endswith("parameter tmp: value 4 psi -> 5 psi\n")
        assert "needs to be qualified again" in await decide("approve", second)
        assert "is retired: approve is not possible" in await decide("approve", first, status=1)
        listed = await command("recipe", "list")
        assert [
            word for word in ("retired", "approved", "qualified again") if word not in " ".join(listed.split())
        ] == []
        assert "is not approved but retired" in await start_gmp(old, 1)
        assert (await start_gmp(new, 0)).startswith("batch B-0001 is ")

    serve(data, work)
