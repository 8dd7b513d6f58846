"""The console as an application: its look, its link to the engine, and its window."""

from __future__ import annotations

import platform
import signal
import sys
from pathlib import Path

import pyqtgraph as pg
from PySide6.QtWidgets import QApplication

from ui import theme
from ui.garbage import collected_here
from ui.link import Address, Link
from ui.scene import Scene
from ui.window import Console


def prepare(app: QApplication) -> None:
    """Give an application its look, once, before it has any window."""
    theme.apply(app)
    pg.setConfigOptions(antialias=False, foreground=theme.TEXT, background=theme.FIELD)


def make(address: Address, recipes: Path | None = None, station: str = "") -> Console:
    """A console that looks for its engine; the application must be there, and the caller shows it."""
    link = Link(address)
    scene = Scene(link)
    link.setParent(scene)
    window = Console(scene, station or platform.node() or "unnamed", recipes)
    scene.setParent(window)
    link.start()
    return window


def run(address: Address, recipes: Path | None = None) -> int:
    """Show a console until its window is closed; the exit status."""
    app = QApplication(sys.argv[:1])
    app.setApplicationName("evcontrol")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    prepare(app)
    with collected_here():
        window = make(address, recipes)
        window.show()
        return int(app.exec())
