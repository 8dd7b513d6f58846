"""Makes the pictures of the console from a real batch: ``python docs/console_pictures.py`` (about five minutes).

It runs simulators and engine in a temporary directory, drives a console on a display of its own (Xvfb), and writes
``docs/images/console-*.png``. To be run by hand when the console or the shipped plant and recipe change. ``--plant``
and ``--recipe`` take other files, ``--phase`` the phase in the middle of which the views are taken.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path

import numpy as np
from PySide6.QtCore import QElapsedTimer, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget

from evcontrol.api.client import Client
from evcontrol.api.schema import BatchCommand, PromptView, StartBatch
from evcontrol.cli.demo_bench import Bench
from evcontrol.cli.demo_script import answer_to, load_script
from evcontrol.cli.people import add_person
from evcontrol.cli.shipped import shipped
from evcontrol.procedure.recipe import load_recipe
from ui.app import make, prepare
from ui.link import Address
from ui.sign_on import SignOnDialog
from ui.start_batch import StartDialog
from ui.window import Console

IMAGES = Path(__file__).parent / "images"
SIZE = (1440, 900)
SPEED = "1440"
BOUND_S = 400.0
PASSWORD = secrets.token_urlsafe(18)


def main() -> int:
    """Run everything and take the pictures."""
    options = argparse.ArgumentParser()
    options.add_argument("--plant", type=Path, default=shipped("plants/demo.yaml"))
    options.add_argument("--recipe", type=Path, default=shipped("recipes/ev-batch.yaml"))
    options.add_argument("--phase", default="condition")
    options.add_argument("--out", type=Path, default=IMAGES)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        stage = _Stage(Path(directory), asked.plant, asked.recipe, asked.out)
        try:
            stage.play(asked.phase)
        finally:
            stage.clear()
    return 0


class _Stage:
    """Display, simulators, engine and console."""

    def __init__(self, data: Path, plant: Path, recipe: Path, out: Path) -> None:
        self._data, self._plant, self._recipe, self._out = data, plant, recipe, out
        self._started: list[subprocess.Popen[bytes]] = []
        self._answered: set[str] = set()
        self._script = load_script()
        self._display()
        add_person(data, "olivia", "Olivia Operator", ["operator", "supervisor"], PASSWORD)
        self._simulate()
        self._serve()
        self._app = QApplication([])
        prepare(self._app)
        self.console: Console = make(Address(data=data), recipe.parent, "EV suite, panel 1")
        self.console.resize(*SIZE)
        self.console.show()
        self.console.move(0, 0)

    def play(self, phase: str) -> None:
        """One batch from signing on to the engine's death and return."""
        console, scene = self.console, self.console.scene
        self._until(lambda: scene.live)
        console.sign.click()
        dialog = console.findChild(SignOnDialog)
        dialog.user.setText("olivia")
        dialog.password.setText(PASSWORD)
        self._take("sign-on", dialog)
        dialog.ok.click()
        self._until(lambda: scene.session is not None)
        console.show_view(console.batches)
        console.batches.open_start()
        start = console.findChild(StartDialog)
        start.file.setText(str(self._recipe))
        start.purpose.setText("Engineering run 3")
        self._take("start", start)
        start.reject()
        text = self._recipe.read_text(encoding="utf-8")
        known = load_recipe(self._recipe).parameters
        wanted = StartBatch(
            recipe=text,
            recipe_name=self._recipe.name,
            purpose="Engineering run 3",
            product=self._script.product,
            parameters={name: value for name, value in self._script.parameters.items() if name in known},
        )
        scene.act(console, lambda client: client.start_batch(wanted), lambda _: None, self._failed)
        self._until(lambda: bool(scene.picture and scene.picture.prompts))
        self._take("questions")
        scene.ticked.connect(self._answer)
        self._until(lambda: self._runs(phase))
        self._settle(6.0)
        self._views(phase)
        self._troubles()

    def clear(self) -> None:
        """End every process that was started here."""
        if hasattr(self, "console"):
            self.console.close()
        for process in reversed(self._started):
            if process.poll() is None:
                process.kill()
            process.wait()

    def _views(self, phase: str) -> None:
        console = self.console
        console.batches.tree.clearSelection()
        self._take("batch")
        console.show_view(console.overview)
        self._take("overview")
        console.show_unit(next(iter(console.units)))
        self._take("unit")
        console.show_view(console.trends)
        console.trends.set_span(3600)
        self._settle(1.5)
        self._take("trends")

    def _troubles(self) -> None:
        """The simulators die, then the engine; then both are there again."""
        console, scene = self.console, self.console.scene
        self._started[1].kill()
        picture = scene.picture
        self._until(lambda: bool(scene.picture and any(one.tripped for one in scene.picture.interlocks)))
        self._settle(2.5)
        console.show_view(console.alarms)
        console.alarms.list.select(console.alarms.list.keys()[0])
        self._take("alarms")
        console.show_view(console.overview)
        self._started[2].send_signal(signal.SIGKILL)
        self._until(lambda: not scene.live)
        self._settle(3.0)
        self._take("gone")
        self._simulate()
        self._serve()
        self._until(lambda: scene.live and scene.picture is not picture)
        scene.link.sign_on(console, ("olivia", PASSWORD, "EV suite, panel 1"), lambda _: None, self._failed)
        console.show_view(console.batches)
        self._until(lambda: scene.session is not None and console.batches.reconciliation.shown is not None)
        self._settle(2.0)
        self._take("reconciliation")
        batch = console.batches.list.selected()
        stop = BatchCommand(command="abort", reason="the pictures are taken")
        scene.act(console, lambda client: client.command_batch(batch, stop), lambda _: None, self._failed)
        self._settle(1.0)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _display(self) -> None:
        read, write = os.pipe()
        screen = ["-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-dpi", "96", "-nolisten", "tcp"]
        self._start(["Xvfb", "-displayfd", str(write), *screen], pass_fds=(write,))
        os.close(write)
        with os.fdopen(read, encoding="ascii") as told:
            os.environ["DISPLAY"] = f":{told.readline().strip()}"
        os.environ["QT_QPA_PLATFORM"] = "xcb"

    def _simulate(self) -> None:
        (self._data / "run" / "simulators.json").unlink(missing_ok=True)
        self._evcontrol("simulate", str(self._plant))
        self._until((self._data / "run" / "simulators.json").exists)

    def _serve(self) -> None:
        (self._data / "run" / "endpoint.json").unlink(missing_ok=True)
        where = str(self._data / "run" / "simulators.json")
        self._evcontrol("serve", str(self._plant), "--endpoints", where, "--speed", SPEED, "--listen", "127.0.0.1:0")
        self._until((self._data / "run" / "endpoint.json").exists)

    def _evcontrol(self, *arguments: str) -> None:
        self._start([sys.executable, "-m", "evcontrol.cli.main", *arguments, "--data", str(self._data)])

    def _start(self, words: list[str], pass_fds: tuple[int, ...] = ()) -> None:
        self._started.append(subprocess.Popen(words, pass_fds=pass_fds, stdout=subprocess.DEVNULL))  # noqa: S603

    def _runs(self, phase: str) -> bool:
        picture = self.console.scene.picture
        views = picture.batches.values() if picture is not None else []
        return any(phase in one.path and one.state == "Running" for view in views for one in view.elements)

    def _answer(self) -> None:
        scene = self.console.scene
        for prompt in scene.picture.prompts if scene.picture is not None and scene.live else []:
            if prompt.prompt in self._answered or scene.session is None:
                continue
            self._answered.add(prompt.prompt)
            scene.answering(prompt)
            scene.act(self.console, self._answering(prompt), lambda _: None, self._failed)

    def _answering(self, prompt: PromptView) -> Callable[[Client], Coroutine[None, None, None]]:
        """Answers a question as the demo's operator does, with the same hands."""
        answer, bench = answer_to(prompt, self._script), Bench(self._data / "run" / "simulators.json")

        async def give(client: Client) -> None:
            value = await bench.measure(answer.truth) if answer.truth else answer.value
            if answer.do:
                await bench.do(answer.do)
            password = PASSWORD if prompt.meaning else ""
            await client.answer(prompt.batch, prompt.prompt, value, answer.comment, password)

        return give

    def _failed(self, why: str) -> None:
        sys.stderr.write(f"{why}\n")

    def _until(self, there: Callable[[], bool]) -> None:
        timer = QElapsedTimer()
        timer.start()
        while not there():
            if timer.elapsed() > BOUND_S * 1000:
                raise TimeoutError("what was waited for did not come")
            QTest.qWait(50)

    def _settle(self, seconds: float) -> None:
        QTest.qWait(round(seconds * 1000))

    def _take(self, name: str, what: QWidget | None = None) -> None:
        widget = what if what is not None else self.console
        QTest.qWait(400)
        focused = QApplication.focusWidget()
        if isinstance(focused, QLineEdit):
            focused.clearFocus()  # no blinking cursor in a picture
        _few_colours(widget.grab().toImage()).save(str(self._out / f"console-{name}.png"), "PNG", 0)


def _few_colours(image: QImage) -> QImage:
    """The picture in the 256 colours that it has most of, which makes the file half as large."""
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits(), dtype=np.uint32)
    found, number = np.unique(pixels, return_counts=True)
    table = found[np.argsort(-number)][:256].tolist()
    avoid = Qt.ImageConversionFlag.ThresholdDither | Qt.ImageConversionFlag.AvoidDither
    return image.convertToFormat(QImage.Format.Format_Indexed8, table, avoid)


if __name__ == "__main__":
    sys.exit(main())
