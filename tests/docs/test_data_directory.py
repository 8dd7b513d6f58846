"""docs/reference/data-directory.md: what a real batch leaves behind, and the chain checked by what the page says."""

from __future__ import annotations

import inspect
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.history.layout import SEALED_TABLES, TABLES
from evcontrol.journal.events import Kind, ProcessActor
from evcontrol.journal.store import Journal, read_events, verify
from evcontrol.procedure.states import Command, State
from tests.batch.suite import OPERATOR, Suite
from tests.docs.examples import fenced

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reference" / "data-directory.md").read_text(encoding="utf-8")
RECIPE = """recipe: Load
version: 1.0.0
product: test
units: {tff: {class: tff}}
procedure:
  - unit_procedure: short
    unit: tff
    steps:
      - {phase: install_membrane, with: {module_type: HF500-1600}}
      - {phase: load, with: {mass: 200 g}}
      - {phase: concentrate, with: {vcf: 1.5 x, cross_flow: 1200 mL/min, tmp: 4 psi}}
      - {phase: recover, with: {flow: 300 mL/min, rinse: 0 mL}}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch that was held for a silent skid and outlived its engine."""

    async def story(clock: VirtualClock) -> Path:
        async with Suite(tmp_path_factory.mktemp("plant") / "data", clock) as suite:
            run = await suite.start_batch(RECIPE)
            await suite.until(run, lambda: "short/concentrate" in run.running())
            suite.sim.skid_link.silent = True
            while run.state is not State.HELD:
                await suite.scans(1)
            suite.sim.skid_link.silent = False
            await suite.scans(40)
            suite.kill()
            await suite.bury()
            await clock.sleep(30)
            await suite.start_engine()
            run = suite.engine.batches.runs[run.id]
            await suite.sign(run)
            await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "go on")
            while run.state is State.HELD:
                await suite.scans(1)
            assert await suite.finish(run) is State.COMPLETE
        return suite.data

    return run_virtual(story)


def documented() -> dict[str, set[str]]:
    """Body keys by kind, of the table."""
    rows = re.findall(r"^\| `(\w+\.?\w*)` \| (`.*?) \| ", TEXT, re.MULTILINE)
    return {kind: set(re.findall(r"`(\w+)`", keys)) for kind, keys in rows}


def commented() -> dict[str, set[str]]:
    """Body keys by kind, as the vocabulary itself gives them."""
    source = (ROOT / "evcontrol" / "journal" / "events.py").read_text(encoding="utf-8")
    found = {}
    for kind, comment in re.findall(r'"([\w.]+)"\s+# (.*(?:\n {8}# .*)*)', source):
        flat = re.sub(r"\n +#|\{.*?\}|\[[^\]]*\]", "", comment).partition(";")[0]
        found[kind] = {item.partition(":")[0].strip() for item in flat.split(",")}
    return found


def test_every_kind_of_event_is_told_with_the_keys_of_the_vocabulary() -> None:
    told, known = documented(), commented()
    assert set(told) == {kind.value for kind in Kind} == set(known)
    more = {kind: keys - known[kind] for kind, keys in told.items() if keys - known[kind]}
    beyond = {"loop.changed": {"limit_high"}, "interlock.reset": {"reason"}, "signature": {"comment"}}
    beyond["user.changed"] = {"reason"}
    assert all(keys <= beyond.get(kind, set()) for kind, keys in more.items())
    assert all(known[kind] <= keys for kind, keys in told.items())


def test_events_of_a_real_batch_have_the_keys_that_are_told(data: Path) -> None:
    told, kinds = documented(), set()
    for event in read_events(data / "journal"):
        kinds.add(event.kind)
        assert set(event.body) == told[event.kind], event.kind
        assert event.actor in {actor.value for actor in ProcessActor} or event.actor.startswith("user:")
    assert len(kinds) >= 20


def test_the_keys_of_an_event_are_told(data: Path) -> None:
    first = json.loads((data / "journal" / "000001.jsonl").read_bytes().splitlines()[0])
    table = TEXT.split("| Key | Meaning |")[1].split("\n\n")[0]
    assert inspect.signature(Journal).parameters["segment_bytes"].default == 16 << 20
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(first)


def check(data: Path) -> subprocess.CompletedProcess[str]:
    """What the program of the page says, run by an interpreter that has no evcontrol."""
    (program,) = fenced(TEXT, "python")
    command = [sys.executable, "-I", "-S", "-c", program, str(data)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_the_chain_is_verified_by_plain_python(data: Path) -> None:
    verdict = verify(data / "journal")
    assert verdict.intact
    done = check(data)
    assert (done.returncode, done.stdout) == (0, f"{verdict.events} events, head {verdict.head[1]}\n")


@pytest.mark.parametrize("change", ["a byte", "a line taken out", "a line swapped"])
def test_plain_python_finds_what_was_changed(data: Path, tmp_path: Path, change: str) -> None:
    lines = (data / "journal" / "000001.jsonl").read_bytes().splitlines(keepends=True)
    if change == "a byte":
        lines[7] = lines[7].replace(b'"t":1', b'"t":2', 1)
    elif change == "a line taken out":
        del lines[7]
    else:
        lines[7], lines[8] = lines[8], lines[7]
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "000001.jsonl").write_bytes(b"".join(lines))
    done = check(tmp_path)
    assert done.returncode == 1
    assert "is not as it was written" in done.stderr


def test_every_file_of_a_real_batch_is_named(data: Path) -> None:
    named = re.findall(r"^\| `([^`]+)` \|", TEXT.split("## Journal")[0], re.MULTILINE)
    patterns = [
        re.compile(
            re.escape(n).replace("NNNNNN", r"\d{6,}").replace("YYYY\\-MM", r"\d{4}-\d\d").replace("BATCH", r".+")
        )
        for n in named
    ]
    for path in data.rglob("*"):
        if path.is_file():
            name = path.relative_to(data).as_posix()
            assert any(pattern.fullmatch(name) for pattern in patterns), name


def test_every_table_of_the_history_is_named(data: Path) -> None:
    (month,) = (data / "history").glob("*.db")
    connection = sqlite3.connect(f"file:{month}?mode=ro", uri=True)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = {row[1] for row in connection.execute("PRAGMA table_info(frames)")}
    finally:
        connection.close()
    chapter = TEXT.split("## History")[1]
    assert (
        set(re.findall(r"^\| `(\w+)`", chapter, re.MULTILINE))
        == tables
        == set(re.findall(r"TABLE (?:IF NOT EXISTS )?(\w+)", "".join(TABLES + SEALED_TABLES)))
    )
    told = next(line for line in chapter.splitlines() if line.startswith("| `frames`"))
    assert set(re.findall(r"`(\w+)`", told)) - {"frames"} == columns - {"id"}
