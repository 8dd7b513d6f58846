"""Starting a batch: a recipe file, its parameters with their limits, and what the batch is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from evcontrol.api.schema import BatchView, StartBatch
from ui.parts import ErrorLine, Words, button, heading, scrolled
from ui.scene import Scene
from ui.theme import Tone

KINDS = {"GMP (its recipe must be approved)": "gmp", "Training (any recipe; marked as such)": "training"}
"""Kinds of batches as they are offered; the second one is chosen on simulated equipment."""
SHOWN_MISTAKES = 4
"""So many mistakes of a recipe are listed."""


class StartDialog(QDialog):
    """``started`` brings the new batch's name."""

    started = Signal(str)

    def __init__(self, scene: Scene, folder: Path | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.scene = scene
        self._folder = folder
        self._fields: dict[str, tuple[QLineEdit, str]] = {}
        self.setObjectName("start")
        self.setWindowTitle("Start a batch")
        self.resize(760, 560)
        self.file = QLineEdit()
        self.file.setObjectName("start.file")
        self.file.setPlaceholderText("Recipe file (.yaml)")
        self.file.textChanged.connect(self._read)
        browse = button("Browse…", "start.browse")
        browse.clicked.connect(self._browse)
        self._about = Words("start.about", tone=Tone.DIM)
        self._about.setWordWrap(True)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(12)
        self._grid.setColumnStretch(3, 1)
        self.purpose = QLineEdit()
        self.purpose.setObjectName("start.purpose")
        self.purpose.setPlaceholderText("What the batch is for (needed)")
        self.product = QLineEdit()
        self.product.setObjectName("start.product")
        self.product.setPlaceholderText("The product to be made (optional)")
        self.kind = QComboBox()
        self.kind.setObjectName("start.kind")
        for name, kind in KINDS.items():
            self.kind.addItem(name, kind)
        picture = scene.picture
        self.kind.setCurrentIndex(int(picture is not None and picture.status.simulated))
        self.error = ErrorLine("start.error")
        kinds = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(kinds.Ok | kinds.Cancel)
        self.ok = self.buttons.button(kinds.Ok)
        self.ok.setText("Start batch")
        self.ok.setObjectName("start.ok")
        self.buttons.accepted.connect(self._start)
        self.buttons.rejected.connect(self.reject)
        self.finished.connect(lambda _: self.deleteLater())
        self._lay_out(browse)
        scene.liveness.connect(self._live)

    def _lay_out(self, browse: QWidget) -> None:
        file = QHBoxLayout()
        file.addWidget(self.file, 1)
        file.addWidget(browse)
        form = QFormLayout()
        form.addRow("Recipe", file)
        form.addRow("Purpose", self.purpose)
        form.addRow("Product", self.product)
        form.addRow("Kind", self.kind)
        inside = QWidget()
        holder = QVBoxLayout(inside)
        holder.setContentsMargins(0, 0, 0, 0)
        holder.addLayout(self._grid)
        holder.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setSpacing(8)
        layout.addLayout(form)
        layout.addWidget(self._about)
        layout.addWidget(heading("Parameters"))
        layout.addWidget(scrolled(inside, "start.parameters"), 1)
        layout.addWidget(self.error)
        layout.addWidget(self.buttons)

    def _browse(self) -> None:
        chooser = QFileDialog(self, "Recipe", str(self._folder or Path.cwd()), "Recipes (*.yaml *.yml)")
        chooser.setObjectName("start.chooser")
        chooser.fileSelected.connect(self.file.setText)
        chooser.open()

    def _read(self) -> None:
        """Show what the recipe says of its parameters; the engine checks all of it when the batch is started."""
        self.error.clear()
        self._clear_fields()
        self._about.say("")
        path = Path(self.file.text().strip())
        if not path.is_file():
            return
        try:
            recipe = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, YAMLError) as error:
            self.error.fail(f"{path.name} cannot be read: {' '.join(str(error).split())[:200]}")
            return
        if not isinstance(recipe, dict):
            self.error.fail(f"{path.name} is no recipe")
            return
        head = f"{recipe.get('recipe', path.name)}, version {recipe.get('version', '?')}"
        self._about.say(f"{head}. {recipe.get('description', '')}".strip(), Tone.DIM)
        self.product.setText(str(recipe.get("product", "")))
        parameters = recipe.get("parameters") or {}
        if isinstance(parameters, dict):
            for name, spec in parameters.items():
                self._add_field(str(name), spec if isinstance(spec, dict) else {})

    def _add_field(self, name: str, spec: dict[str, Any]) -> None:
        row = self._grid.rowCount()
        value, base = str(spec.get("value", "")), str(spec.get("scale_by") or "")
        if base:  # left empty it follows the other one, as the engine works out
            value, hint = "", f"{value}, scaled by {base}"
        field = QLineEdit(value)
        field.setPlaceholderText(hint if base else "")
        field.setObjectName(f"start.parameter.{name}")
        field.setMinimumWidth(140)
        limits = [str(spec[end]) for end in ("low", "high") if end in spec]
        self._grid.addWidget(Words(text=name), row, 0)
        self._grid.addWidget(field, row, 1)
        self._grid.addWidget(Words(text=" to ".join(limits), tone=Tone.DIM), row, 2)
        described = Words(text=str(spec.get("description", "")), tone=Tone.DIM, elided=True)
        self._grid.addWidget(described, row, 3)
        self._fields[name] = (field, value)

    def _clear_fields(self) -> None:
        self._fields = {}
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    def _start(self) -> None:
        path = Path(self.file.text().strip())
        try:
            start = StartBatch(
                recipe=path.read_text(encoding="utf-8"),
                recipe_name=path.name,
                parameters={
                    name: field.text().strip() for name, (field, value) in self._fields.items() if field.text() != value
                },
                purpose=self.purpose.text(),
                product=self.product.text(),
                kind=self.kind.currentData(),
            )
        except (OSError, UnicodeDecodeError):
            self.error.fail("choose a recipe file that can be read")
        except ValidationError as error:
            first = error.errors()[0]
            self.error.fail(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}")
        else:
            self.error.clear()
            self.ok.setEnabled(False)
            self.scene.act(self, lambda client: client.start_batch(start), self._done, self._refused)

    def _done(self, view: BatchView) -> None:
        self.started.emit(view.summary.batch)
        self.accept()

    def _refused(self, why: str) -> None:
        self.ok.setEnabled(self.scene.live)
        lines = [line for line in why.splitlines() if line.strip()]
        more = [f"and {len(lines) - SHOWN_MISTAKES} more"] if len(lines) > SHOWN_MISTAKES else []
        self.error.fail("\n".join(lines[:SHOWN_MISTAKES] + more))

    def _live(self, live: bool) -> None:
        self.ok.setEnabled(live)
        if not live:
            self.error.fail("the engine is gone: nothing can be started")
