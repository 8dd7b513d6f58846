"""Reference cycles are collected in the windows' thread and in no other.

Python collects in whichever thread happens to allocate. A cycle that holds a Qt object, collected in the link's
thread, would destroy that object there while the windows' thread still draws with it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QTimer

PERIOD_MS = 50


@contextmanager
def collected_here() -> Iterator[None]:
    """While it is entered, the event loop of this thread collects what Python would have collected by itself."""
    timer = QTimer()
    timer.timeout.connect(_collect_what_is_due)
    automatic = gc.isenabled()
    gc.disable()
    timer.start(PERIOD_MS)
    try:
        yield
    finally:
        timer.stop()
        gc.collect()
        if automatic:
            gc.enable()


def _collect_what_is_due() -> None:
    """The oldest generation that has had its number of allocations or collections, as Python itself would."""
    due = [count > threshold for count, threshold in zip(gc.get_count(), gc.get_threshold(), strict=True)]
    if any(due):
        gc.collect(max(generation for generation, is_due in enumerate(due) if is_due))
