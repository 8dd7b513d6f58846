"""``evcontrol batch revise``: what would change is shown first, and the signature is asked for."""

import asyncio
from pathlib import Path

import pytest

from evcontrol.api import endpoint
from evcontrol.api.schema import Endpoint
from evcontrol.cli.commands import run
from tests.api.served import PASSWORD, Served, recipe_text, serve


def test_a_running_batch_is_revised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVCONTROL_PASSWORD", PASSWORD)
    data, old, new = tmp_path / "data", tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(recipe_text(), encoding="utf-8")
    new.write_text(recipe_text().replace("value: 6 DV", "value: 7 DV"), encoding="utf-8")

    async def work(served: Served) -> None:
        where = Endpoint(url=served.url, pid=1, plant="tff", simulated=True)
        served.desk.run_token = endpoint.publish(data, where)

        async def command(*arguments: str, status: int = 0) -> str:
            assert await asyncio.to_thread(run, ["batch", *arguments, "--data", str(data)]) == status
            told = capsys.readouterr()
            return told.out + told.err

        await command("start", str(old), "--purpose", "a test", "--user", "olivia")
        revise = ("revise", "B-0001", str(new), "--user", "olivia")
        shown = "revision 1 of batch B-0001:\n  parameter diavolumes: value 6 DV -> 7 DV\n"
        assert await command(*revise, "--plan") == shown
        assert "--reason is empty" in await command(*revise, status=2)
        assert "--yes signs without asking" in await command(*revise, "--reason", "salty", status=2)
        told = await command(*revise, "--reason", "salty", "--yes")
        assert told == f"{shown}batch B-0001 goes on with revision 1 in what has not begun\n"
        assert "(revision 1; training, recipe" in await command("show", "B-0001")
        told = await command(*revise, "--plan", status=1)
        assert "  not possible: it runs with this very text\n" in told
        assert "it goes on as it was" in told

    serve(data, work)
