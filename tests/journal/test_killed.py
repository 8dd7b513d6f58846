"""What was recorded is there when the process is killed at any moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evcontrol.journal.events import ENGINE, Kind
from evcontrol.journal.store import verify
from tests.journal.build import open_journal

RECORDING = """
import asyncio, sys
from pathlib import Path
from evcontrol.clock import LiveClock
from evcontrol.journal.events import ENGINE, Kind
from evcontrol.journal.store import Journal

async def one(journal):
    while True:
        event = await journal.record(Kind.PHASE_PROGRESS, ENGINE, {"key": "volume", "value": "x" * 500})
        print(event.seq, flush=True)

async def main():
    journal = Journal(Path(sys.argv[1]), LiveClock(), segment_bytes=20_000, reserve_bytes=0)
    await asyncio.gather(*(one(journal) for _ in range(4)))

asyncio.run(main())
"""


@pytest.mark.parametrize("events", [1, 40, 333])
def test_a_killed_process_loses_nothing_that_was_recorded(tmp_path: Path, events: int) -> None:
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", RECORDING, str(tmp_path)], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": root}
    )
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(events)]
    process.kill()
    told += [int(line) for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    process.wait()

    journal = open_journal(tmp_path)
    assert journal.head[0] > max(told)
    journal.append(Kind.ENGINE_STARTED, ENGINE, {})
    journal.close()
    assert verify(tmp_path, journal.head).intact
