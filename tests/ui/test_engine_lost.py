"""Consoles of a real engine that is stopped, killed and started again, and a console that is killed itself."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from PySide6.QtCore import QElapsedTimer
from pytestqt.qtbot import QtBot

from evcontrol.api import endpoint
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from tests.ui.conftest import MakeConsole
from tests.ui.person import Person, at
from tests.wire.processes import BOUND_S, PASSWORD, Processes, go_on, stop_in_its_tracks
from ui import theme

T = TypeVar("T")

SPEED = 10.0
"""Slow enough for consoles to start beside it on a small machine."""
RECIPE = """\
recipe: Loading only
version: 1.0.0
product: test
units:
  tff: {class: tff}
procedure:
  - unit_procedure: short
    unit: tff
    steps:
      - phase: install_membrane
        with: {module_type: HF500-1600}
      - phase: load
        with: {mass: 2500 g}
"""


class Suite:
    """Simulators and engine as processes, looked after by a thread of their own."""

    def __init__(self, data: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="processes", daemon=True)
        self.processes = Processes(data, SPEED)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(BOUND_S)


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Suite]:
    suite = Suite(tmp_path / "data")
    suite.thread.start()
    suite.call(suite.processes.__aenter__())
    yield suite
    suite.call(suite.processes.__aexit__(None, None, None))
    suite.loop.call_soon_threadsafe(suite.loop.stop)
    suite.thread.join()
    suite.loop.close()


@pytest.fixture
def another(suite: Suite, display: str) -> Iterator[subprocess.Popen[bytes]]:
    """``evcontrol console`` as a process of its own."""
    words = [sys.executable, "-m", "evcontrol.cli.main", "console", "--data", str(suite.processes.data)]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def connections(pid: int, port: int) -> int:
    """How many connections to a local port a process holds open."""
    mine = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            mine.add(str(entry.readlink()))
        except FileNotFoundError:
            continue
    lines = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(f"socket:[{line[9]}]" in mine and line[2].endswith(f":{port:04X}") for line in lines)


def milliseconds(begin: Callable[[], None], person: Person, there: Callable[[], bool]) -> int:
    """Real time from ``begin`` until the console shows ``there``."""
    timer = QElapsedTimer()
    begin()
    timer.start()
    while not there():
        person.bot.wait(5)
        assert timer.elapsed() < 5000
    return timer.elapsed()


def is_grey(person: Person) -> bool:
    console = person.console
    return (
        not console.gone.isHidden()
        and console.batches.palette().windowText().color() == theme.STALE
        and console.batches.tree.stale
        and not any(push.isEnabled() for push in console.batches.buttons.values())
    )


def restart(person: Person) -> None:
    """Restart, again and again while something stands against it still."""
    told = person.console.batches.error
    while person.state != "Running":
        told.clear()
        person.command("restart", "weights as expected")
        person.until(lambda: person.state == "Running" or told.said.startswith("✕"))


def sign(person: Person) -> None:
    """Sign, again when what was shown has changed: devices that were not read yet are read then."""
    panel = person.console.batches.reconciliation
    while not panel.isHidden():
        panel.error.clear()
        person.type(panel.password, PASSWORD)
        person.click(panel.sign)
        person.until(lambda: panel.isHidden() or bool(panel.error.said))


def test_a_console_that_is_killed_and_an_engine_that_is_lost_and_comes_back(
    suite: Suite, another: subprocess.Popen[bytes], consoles: MakeConsole, qtbot: QtBot, tmp_path: Path
) -> None:
    processes = suite.processes
    person = Person(consoles(at(processes.data)), qtbot, PASSWORD)
    person.until_live()
    person.sign_on()
    recipe = tmp_path / "short.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    person.start(recipe)
    person.answer(person.until_prompt("membrane module"))
    person.answer(person.until_prompt("are empty"))
    person.until(lambda: "load" in person.console.batches.now.said)

    # The other console watches, and is killed: the batch goes on.
    port = urlsplit(endpoint.find(processes.data)[0].url).port or 0
    person.until(lambda: connections(another.pid, port) > 0)
    another.kill()
    another.wait()
    since = person.picture.t
    person.until(lambda: person.picture.t > since)
    assert person.state == "Running", person.console.batches.now.said

    # The engine stands still: grey within a second, and back by itself.
    took = milliseconds(lambda: stop_in_its_tracks(processes.engine), person, lambda: is_grey(person))
    assert took < 1000, f"grey {took} ms after the engine fell silent"
    assert not person.console.batches.start.isEnabled()
    go_on(processes.engine)
    person.until_live()
    person.until(lambda: not is_grey(person))

    # The engine is killed: the same, and dated.
    took = milliseconds(lambda: processes.engine.send_signal(signal.SIGKILL), person, lambda: is_grey(person))
    assert took < 1000, f"grey {took} ms after the engine was killed"
    assert person.console.gone.text.said.startswith("✕ ENGINE GONE: last seen ")
    person.until(lambda: ", 1 s ago" in person.console.gone.text.said)
    person.shot(tmp_path, "gone")
    suite.call(processes.until_gone(processes.engine))

    # It is started again: the console finds it, and its person signs on anew, reconciles and restarts.
    suite.call(processes.start_engine())
    person.until_live()
    person.until(lambda: person.console.scene.session is None)
    person.until_state("Held")
    panel = person.console.batches.reconciliation
    person.until(lambda: panel.shown is not None and not panel.isHidden())
    person.shot(tmp_path, "reconciliation")
    assert {"TFF201.WT_RET", "TFF201.XV102"} <= {panel.table.text_of(key, 0) for key in panel.table.keys()}  # noqa: SIM118
    assert panel.sign.toolTip() == "sign on first"
    person.sign_on()
    person.until(lambda: not person.console.batches.buttons["restart"].isEnabled())
    person.type(panel.password, "not her pass phrase")
    person.click(panel.sign)
    person.until(lambda: bool(panel.error.said))
    assert person.batch.summary.reconciliation_due
    sign(person)
    person.until(lambda: person.picture.text("SYS.LINK_TFF201") == "ready")
    restart(person)
    person.command("abort")
    person.until_state("Aborted")
    kinds = [event.kind for event in read_events(processes.data / "journal")]
    assert kinds.count(Kind.SIGNATURE) == 1
