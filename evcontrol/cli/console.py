"""``evcontrol console``: the operator console, a client of an engine that runs here or elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer

from evcontrol.cli.connect import DEFAULT_DATA, Data
from evcontrol.cli.fault import WRONG_USE, CliError
from evcontrol.cli.shipped import shipped

PROBE = "from PySide6.QtWidgets import QApplication; QApplication([])"
PROBE_S = 30.0


def console(
    url: Annotated[
        str, typer.Option("--url", help="The engine's address.", show_default="that of the engine on --data")
    ] = "",
    data: Data = DEFAULT_DATA,
) -> None:
    """Open the operator console."""
    if url and not url.startswith(("http://", "https://")):
        raise CliError(f"--url {url}: write it as http://HOST:PORT", status=WRONG_USE)
    _check_display()
    from ui.app import run  # noqa: PLC0415  (Qt is loaded by no other command)
    from ui.link import Address  # noqa: PLC0415

    raise typer.Exit(run(Address(url, data), shipped("recipes/ultrafiltration.yaml").parent))


def has_display() -> bool:
    """Whether this machine seems to have a window system."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)


def _check_display() -> None:
    """CliError unless a window can be opened: Qt itself would end the process with a dump of its core."""
    if not has_display():
        raise CliError("no display: the console needs a window system (DISPLAY is not set)")
    try:
        probe = subprocess.run(  # noqa: S603  (our own interpreter)
            [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise CliError(f"no display: the window system did not answer within {PROBE_S:.0f} s") from None
    if probe.returncode != 0:
        said = [line.strip() for line in probe.stderr.splitlines() if line.strip()]
        raise CliError(f"no display: {said[0] if said else 'the window system cannot be reached'}")
