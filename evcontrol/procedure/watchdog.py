"""The watchdog of phases: one whose work is not heard of any more is told, and held by the supervisor.

Waiting for a scan, a person, a command or the journal is being heard of: all of that has bounds of its own or is shown.
What is left is work that waits for something that never comes, and a phase that never ends would hold nothing up
visibly.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog

from evcontrol.procedure.context import PhaseContext

SILENT_S: Final = 60.0
"""Process time after which nothing was heard of a phase's work."""
SILENT_SCANS: Final = 10
"""Scans that must have passed too: at high speed one of them is a minute of process time."""
_DEEPEST: Final = 8

_log = structlog.get_logger(__name__)


def is_silent(context: PhaseContext, work: asyncio.Task[Any]) -> bool:
    """Whether a running phase's work is silent; to be asked once a scan. Puts where it stands into the log."""
    if work.done() or context.is_heard():
        return False
    if context.quiet < SILENT_SCANS or context.quiet * context.scan_s < SILENT_S:
        return False
    stack = [f"{frame.f_code.co_filename}:{frame.f_lineno}" for frame in work.get_stack(limit=_DEEPEST)]
    _log.error("nothing is heard of a phase", batch=context.batch, path=context.path, at=stack)
    return True
