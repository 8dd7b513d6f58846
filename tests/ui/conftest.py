"""A window system for the tests, and consoles that are gone when a test ends."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest
from argon2 import PasswordHasher
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from evcontrol.access import people
from ui.app import make, prepare
from ui.garbage import collected_here
from ui.link import Address
from ui.window import Console

SCREEN = "1600x1000x24"

MakeConsole = Callable[[Address], Console]


@pytest.fixture(scope="session")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Xvfb on a display that is free; Qt draws on it as on a screen."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is missing: scripts/system-packages PYTHON tests installs it")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", SCREEN, "-dpi", "96", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read, encoding="ascii") as told:
        name = f":{told.readline().strip()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", name)
        patch.setenv("QT_QPA_PLATFORM", "xcb")
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield name
        app = QApplication.instance()
        if app is not None:
            app.shutdown()  # a client whose server goes away would end the process
        server.terminate()
        server.wait()


@pytest.fixture(scope="session")
def qapp_args(display: str) -> list[str]:
    """The application is made when its display is there."""
    return ["evcontrol"]


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(scope="session")
def _look(qapp: QApplication) -> None:
    prepare(qapp)


@pytest.fixture
def consoles(qtbot: QtBot, _look: None) -> Iterator[MakeConsole]:
    """Makes consoles that are shown, and closes them."""
    made: list[Console] = []

    def new(address: Address) -> Console:
        console = make(address, station=f"station {len(made) + 1}")
        made.append(console)
        console.show()
        qtbot.waitExposed(console)
        return console

    with collected_here():
        yield new
        for console in made:
            console.close()
            console.deleteLater()
        made.clear()
        qtbot.wait(1)
