"""The journal's files: ``NNNNNN.jsonl``, numbered from 1, each a run of whole lines."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FIRST: Final = "000001.jsonl"

_NAME: Final = re.compile(r"\d{6,}\.jsonl")
_TAIL_STEP: Final = 1 << 16


def segment_paths(directory: Path) -> list[Path]:
    """The segments of a journal in order. Raises FileNotFoundError."""
    return sorted((path for path in directory.iterdir() if _NAME.fullmatch(path.name)), key=segment_number)


def segment_number(path: Path) -> int:
    """The number in a segment's name."""
    return int(path.stem)


def following(path: Path) -> Path:
    """The path of the segment after this one."""
    return path.with_name(f"{segment_number(path) + 1:06d}.jsonl")


def lines_of(path: Path) -> Iterator[tuple[bytes, bool]]:
    """The lines of a segment without their ends, and whether the end was there."""
    with path.open("rb") as file:
        for line in file:
            finished = line.endswith(b"\n")
            yield (line[:-1] if finished else line), finished


def last_line(path: Path) -> tuple[bytes, bool] | None:
    """The last line of a segment and whether it is finished; None when the segment is empty."""
    with path.open("rb") as file:
        start = end = file.seek(0, os.SEEK_END)
        tail = b""
        while start > 0 and b"\n" not in tail[:-1]:
            start = max(0, start - _TAIL_STEP)
            file.seek(start)
            tail = file.read(end - start)
    if not tail:
        return None
    finished = tail.endswith(b"\n")
    body = tail[:-1] if finished else tail
    return body.rpartition(b"\n")[2], finished


def line_count(path: Path) -> int:
    """How many lines a segment has, an unfinished one counted."""
    return sum(1 for _ in lines_of(path))


def set_aside(path: Path, size: int) -> Path:
    """Move what a segment has beyond ``size`` bytes into a file of its own beside it, and give that file's path.

    The copy is on disk before the segment is cut. Raises OSError.
    """
    with path.open("rb") as file:
        file.seek(size)
        tail = file.read()
    kept = _free_name(path.with_name(f"{path.stem}.torn-{size}"))
    try:
        with kept.open("xb") as copy:
            copy.write(tail)
            copy.flush()
            os.fsync(copy.fileno())
    except OSError:
        kept.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    with path.open("r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())
    return kept


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _free_name(path: Path) -> Path:
    candidate, count = path, 1
    while candidate.exists():
        count += 1
        candidate = path.with_name(f"{path.name}-{count}")
    return candidate
