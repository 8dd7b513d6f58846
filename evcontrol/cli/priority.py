"""The control process runs before others on its machine, where the operating system lets it."""

from __future__ import annotations

import os
import sys

import structlog

FIRST = -10
"""Niceness of the control process; what it starts beside itself (forwarding, queries) is at 10."""

_log = structlog.get_logger(__name__)


def run_first() -> None:
    """Raise this process's priority; where that is not permitted it stays, and the log says so."""
    if sys.platform == "win32":
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
    except OSError as error:
        _log.info("priority stays as it is: let the service have niceness -10", reason=error.strerror)
