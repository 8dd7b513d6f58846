"""Slow work on the journal and its records in a process of its own, so that no scan waits for it.

``python -m evcontrol.api.aside WORK DATA SUBJECT`` does the work and prints its result as one JSON object.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from evcontrol.alarms.figures import changes_of, figures
from evcontrol.journal.store import read_events

LIMIT_S = 280.0
"""Real time after which the work is given up; less than a client waits."""

_log = structlog.get_logger(__name__)


class AsideError(Exception):
    """The work could not be done; one line."""


async def run_aside(work: str, data: Path, subject: str) -> dict[str, Any]:
    """The result of ``report`` (file, sha256) or ``verify`` (intact, faults) of a batch, or of ``alarms``.

    The subject of ``alarms`` is ``START-END`` (process time, UTC ns). Raises AsideError.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "evcontrol.api.aside", work, str(data), subject),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            out, errors = await process.communicate()
    except TimeoutError:
        raise AsideError(f"the {work} of {subject} took longer than {LIMIT_S:g} s and was given up") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        text = errors.decode("utf-8", "replace").strip()
        _log.error("work aside failed", work=work, subject=subject, details=text)
        raise AsideError(f"the {work} of {subject} failed: {text.splitlines()[-1] if text else 'no reason given'}")
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    return result


def report(data: Path, batch: str) -> dict[str, Any]:
    """Write the report under ``reports/`` of the data directory."""
    from evcontrol.batch.report import write_report  # noqa: PLC0415  (costly to import, and only this process needs it)

    file = write_report(data, batch)
    return {"file": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def verify(data: Path, batch: str) -> dict[str, Any]:
    """Verify the record."""
    from evcontrol.batch.record import verify_record  # noqa: PLC0415  (as above)

    verdict = verify_record(data, batch)
    return {"intact": verdict.intact, "faults": list(verdict.faults)}


def alarms(data: Path, stretch: str) -> dict[str, Any]:
    """The figures of ISA-18.2 for a stretch of time."""
    start, end = (int(part) for part in stretch.split("-"))
    return asdict(figures(changes_of(read_events(data / "journal")), start, end))


WORK: Mapping[str, Callable[[Path, str], dict[str, Any]]] = {"report": report, "verify": verify, "alarms": alarms}


def main(arguments: list[str]) -> None:
    """Do the work that the arguments name, and print its result."""
    work, data, subject = arguments
    sys.stdout.write(json.dumps(WORK[work](Path(data), subject)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
