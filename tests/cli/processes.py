"""``evcontrol`` commands as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG = Path(__file__).parents[2] / "config"
PLANT = CONFIG / "plants" / "tff.yaml"
RECIPE = CONFIG / "recipes" / "ultrafiltration.yaml"
CELL = CONFIG / "plants" / "demo.yaml"
EV_BATCH = CONFIG / "recipes" / "ev-batch.yaml"
LIMIT_S = 40.0


def evcontrol(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "evcontrol.cli.main", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, **variables},
    )


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "evcontrol.cli.main", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def simulated(data: Path) -> Iterator[subprocess.Popen[str]]:
    """The simulated instruments of the shipped plant."""
    with started("simulate", str(PLANT), "--data", str(data), "--until-eof") as process:
        until((data / "run" / "simulators.json").exists, process)
        yield process


@contextmanager
def served(data: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """An engine on the simulated instruments, when it is up."""
    endpoints = data / "run" / "simulators.json"
    with started("serve", str(PLANT), "--data", str(data), "--endpoints", str(endpoints), *more) as process:
        until((data / "run" / "endpoint.json").exists, process)
        yield process


def until(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something is there; AssertionError when the process ends before."""
    end = time.monotonic() + LIMIT_S
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def kinds(data: Path) -> list[str]:
    """The kinds of all events of the journal."""
    lines = [line for path in sorted((data / "journal").glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line)["kind"] for line in lines]
