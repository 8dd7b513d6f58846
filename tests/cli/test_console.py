"""``evcontrol console`` where no window can be opened: one clear line, and no dump."""

import os
import subprocess
import sys

import pytest


def console(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: v for name, v in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    return subprocess.run(
        [sys.executable, "-m", "evcontrol.cli.main", "console", *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("environment", [{}, {"DISPLAY": ":4711"}, {"DISPLAY": ":4711", "QT_QPA_PLATFORM": "xcb"}])
def test_without_a_display_it_says_so_in_one_line(environment: dict[str, str]) -> None:
    done = console(**environment)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("evcontrol: no display: ")


def test_an_address_that_is_none_is_wrong_use() -> None:
    done = console("--url", "localhost:8000")
    assert (done.returncode, done.stderr) == (2, "evcontrol: --url localhost:8000: write it as http://HOST:PORT\n")
