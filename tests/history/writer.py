"""A historian in a process of its own, to be killed or put on a full disk by a test.

writer.py kill DIRECTORY     keeps a scan every 10 ms and prints the time of each, until killed
writer.py seal DIRECTORY     keeps scans as fast as they are sealed and prints the number of each that is on the disk
writer.py full DIRECTORY     on a disk of 256 KiB, which later has room again; prints what happened as JSON
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

import numpy as np

from evcontrol.clock import NS, LiveClock
from evcontrol.history.reader import HistoryReader
from evcontrol.history.store import Historian
from evcontrol.signals import Frame, Tag, TagKind, TagTable

START = 1_772_323_200 * NS
TAGS = TagTable(Tag(f"T{i}", i, "degC", TagKind.ANALOG, 0.0, 1.0) for i in range(200))
INDEX = np.arange(200, dtype=np.int32)


def scan(t: int, number: int) -> Frame:
    """A frame whose every value is the scan's number."""
    return Frame(t, t, "skid", INDEX, np.full(200, float(number)), np.zeros(200, np.uint32))


async def kill(directory: Path) -> None:
    """Keep scans until killed."""
    clock = LiveClock()
    historian = Historian(directory, TAGS, clock)
    running = asyncio.create_task(historian.run())
    number = 0
    while not running.done():
        t = clock.now()
        historian.keep(t, t, [scan(t, number)])
        sys.stdout.write(f"{t} {number}\n")
        sys.stdout.flush()
        number += 1
        await clock.sleep(0.01)


async def seal(directory: Path) -> None:
    """Keep scans of one second each, numbered on from those that are there, until killed."""
    clock = LiveClock()
    historian = Historian(directory, TAGS, clock)
    span = HistoryReader(directory).span()
    number = 0 if span is None else (span[1] - START) // NS + 1
    while True:
        for _ in range(60):
            t = START + number * NS
            historian.keep(t, t, [scan(t, number)])
            number += 1
        await historian.flush()
        if historian.trouble:
            raise RuntimeError(historian.trouble)
        sys.stdout.write(f"{number - 1}\n")
        sys.stdout.flush()


async def full(directory: Path) -> None:
    """Fill the disk, go on beyond the buffer, then make room."""
    clock = LiveClock()
    historian = Historian(directory, TAGS, clock, buffer_frames=500)
    told: list[tuple[int, int, str]] = []
    historian.on_gap = lambda *gap: told.append(gap)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, hard))
    kept: list[int] = []

    def keep() -> None:
        t = clock.now()
        historian.keep(t, t, [scan(t, len(kept))])
        kept.append(t)

    for _ in range(3):
        for _ in range(400):
            keep()
        await historian.flush()
    trouble = historian.trouble
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await historian.flush()
    keep()
    await historian.close()
    sys.stdout.write(json.dumps({"kept": kept, "told": told, "trouble": trouble, "after": historian.trouble}))


if __name__ == "__main__":
    asyncio.run({"kill": kill, "seal": seal, "full": full}[sys.argv[1]](Path(sys.argv[2])))
