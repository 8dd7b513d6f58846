"""The control process runs before others, and what it starts beside itself after them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from evcontrol.cli.priority import FIRST

TOLD = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"


def after(statement: str) -> int:
    done = subprocess.run([sys.executable, "-c", f"{statement}; {TOLD}"], check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root, or a service that may, raises a priority")
def test_where_it_is_permitted_it_runs_first() -> None:
    assert after("from evcontrol.cli.priority import run_first; run_first()") == FIRST


def test_where_it_is_not_permitted_nothing_happens() -> None:
    drop = "import os; os.setgid(65534) if os.geteuid() == 0 else None; os.setuid(65534) if os.geteuid() == 0 else None"
    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert after(f"from evcontrol.cli.priority import run_first; {drop}; run_first()") == before
