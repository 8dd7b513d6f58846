from __future__ import annotations

import gc
import threading

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from ui.garbage import collected_here

ROUND = 20_000


def _cycle(ended_in: list[str]) -> None:
    thing = QObject()
    thing.itself = thing  # type: ignore[attr-defined]
    thing.destroyed.connect(lambda: ended_in.append(threading.current_thread().name))


def _allocate() -> list[list[int]]:
    return [[number] for number in range(ROUND)]


def test_a_busy_thread_does_not_end_the_windows_objects(qtbot: QtBot) -> None:
    ended_in: list[str] = []
    with collected_here():
        _cycle(ended_in)
        busy = threading.Thread(target=_allocate, name="busy")
        busy.start()
        busy.join()
        assert ended_in == []
        kept = _allocate()
        qtbot.waitUntil(lambda: ended_in == ["MainThread"])
        assert len(kept) == ROUND


@pytest.mark.usefixtures("qapp")
def test_what_is_left_over_is_collected_at_the_end_and_python_collects_again() -> None:
    ended_in: list[str] = []
    with collected_here():
        assert not gc.isenabled()
        _cycle(ended_in)
    assert ended_in == ["MainThread"]
    assert gc.isenabled()
