"""Batches: started, watched as a tree, commanded with the commands that are valid now, and their questions answered."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMessageBox, QSplitter, QVBoxLayout, QWidget

from evcontrol.api.picture import Picture
from evcontrol.api.schema import NEEDS_REASON, BatchCommand, BatchSummary, BatchView, ElementView
from ui import when, words
from ui.parts import ErrorLine, View, Words, button, column, heading
from ui.prompts import Prompts
from ui.reconcile import ReconciliationPanel
from ui.scene import Scene
from ui.start_batch import StartDialog
from ui.table import Cell, Column, Row, Table
from ui.theme import Tone

CommandName = Literal["start", "hold", "restart", "pause", "resume", "stop", "abort", "reset"]
COMMANDS: tuple[CommandName, ...] = get_args(CommandName)
FOR_GOOD = frozenset({"stop", "abort"})
"""Commands that cannot be taken back: asked again before they are sent."""
ROOT = "/"
"""The key of the whole procedure in the tree; its path is empty."""


class Batches(View):
    """The list of batches, the tree of one, and the questions of all."""

    title = "Batch"

    def __init__(self, scene: Scene, recipes: Path | None) -> None:
        super().__init__(scene, "batch")
        self._recipes = recipes
        self._past: dict[str, BatchSummary] = {}
        self._past_views: dict[str, BatchView] = {}
        self._asked: set[str] = set()
        self._running_path = ""
        self._wished = ""
        self.list = Table("batch.list", [Column("Batch", 9), Column("State", 0)])
        self.start = button("Start a batch…", "batch.start")
        self.start.clicked.connect(self.open_start)
        self.tree = Table("batch.tree", [Column("Step", 34), Column("State", 15), Column("Waits for", 0)], tree=True)
        self.tree.setAlternatingRowColors(False)
        self._head = Words("batch.head", tone=Tone.STRONG, size=1.1, elided=True)
        self._facts = Words("batch.facts", tone=Tone.DIM, elided=True)
        self.now = Words("batch.now", tone=Tone.PLAIN)
        self.now.setWordWrap(True)
        self._target = Words("batch.target", elided=True)
        self.reason = QLineEdit()
        self.reason.setObjectName("batch.reason")
        self.reason.setPlaceholderText("Reason (needed for restart and reset; the journal keeps it)")
        self.buttons = {name: button(name.capitalize(), f"batch.command.{name}") for name in COMMANDS}
        self.error = ErrorLine("batch.error")
        self.reconciliation = ReconciliationPanel(scene)
        self.prompts = Prompts(scene)
        for name, push in self.buttons.items():
            push.clicked.connect(lambda _=False, name=name: self._command(name))
        self.list.itemSelectionChanged.connect(self._ticked)
        self.tree.itemSelectionChanged.connect(self._ticked)
        self.reason.textChanged.connect(self._ticked)
        scene.renewed.connect(self._ask_past)
        self._lay_out()

    def draw(self, picture: Picture) -> None:
        """Draw what has changed."""
        summaries = self._past | {name: view.summary for name, view in picture.batches.items()}
        newest_first = sorted(summaries.values(), key=lambda one: one.created, reverse=True)
        self.list.show_rows([_batch_row(one) for one in newest_first])
        if self._wished in summaries:
            self.list.select(self._wished)
            self._wished = ""
        if not self.list.selected() and newest_first:
            self.list.select(newest_first[0].batch)
        view = self._view(picture, self.list.selected())
        self._show_batch(view)
        self._allow(view)
        due = view is not None and view.summary.reconciliation_due
        self.reconciliation.follow(view.summary.batch if view is not None else "", due)
        why = self.scene.why_not("operate")
        self.start.setEnabled(not why)
        self.start.setToolTip(why)

    def shown(self) -> None:
        """The view was turned to."""
        super().shown()
        self.prompts.refresh()

    def open_start(self) -> None:
        """Ask for a recipe and start it."""
        dialog = StartDialog(self.scene, self._recipes, self)
        dialog.started.connect(self.choose)
        dialog.open()

    def choose(self, batch: str) -> None:
        """Show this batch as soon as the engine tells of it."""
        self._wished = batch
        self._ticked()

    # -- layout ------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        left = QWidget()
        left.setLayout(column(heading("Batches"), self.start, self.list, stretch=2))
        commands = QHBoxLayout()
        commands.setSpacing(4)
        for push in self.buttons.values():
            commands.addWidget(push)
        middle = QWidget()
        parts = (self._head, self._facts, self.now, self.reconciliation, self.tree, self._target, self.reason, commands)
        middle.setLayout(column(*parts, self.error, stretch=4))
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setObjectName("batch.splitter")
        splitter.setChildrenCollapsible(False)
        for widget in (left, middle, self.prompts):
            splitter.addWidget(widget)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([280, 660, 300])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.addWidget(splitter)

    # -- what is shown -----------------------------------------------------------------------------------------------

    def _view(self, picture: Picture | None, batch: str) -> BatchView | None:
        """A batch of the stream, or one that ended before the engine was started, which is asked for."""
        if picture is None:
            return None
        if batch in picture.batches or not batch:
            return picture.batches.get(batch)
        if batch not in self._past_views and batch not in self._asked:
            self._asked.add(batch)
            self.scene.read(self, lambda client: client.batch(batch), self._keep, self.error.fail)
        return self._past_views.get(batch)

    def _keep(self, view: BatchView) -> None:
        self._past_views[view.summary.batch] = view
        self._ticked()

    def _ask_past(self) -> None:
        def done(batches: list[BatchSummary]) -> None:
            self._past = {one.batch: one for one in batches}
            self._past_views, self._asked = {}, set()
            self._ticked()

        self.scene.read(self, lambda client: client.batches(), done, self.error.fail)

    def _show_batch(self, view: BatchView | None) -> None:
        if view is None:
            self._head.say("No batch", Tone.DIM, self.stale)
            self._facts.say("")
            self.now.say("")
            self.tree.show_rows([])
            return
        summary = view.summary
        mark = f"   TRAINING, recipe {summary.recipe_state}" if summary.kind == "training" else ""
        revised = f"   revision {summary.revision}" if summary.revision else ""
        self._head.say(f"{summary.batch}   {summary.recipe}{revised}{mark}", Tone.STRONG, self.stale)
        facts = [
            summary.product,
            summary.purpose,
            ", ".join(summary.units),
            f"since {when.moment(summary.created)} UTC",
        ]
        self._facts.say("  ·  ".join(fact for fact in facts if fact), Tone.DIM, self.stale)
        active = words.active_steps(view.elements)
        self.tree.show_rows([_element_row(element, element in active) for element in view.elements])
        held = summary.state in words.ABNORMAL_STATES
        self.now.say(_told(summary, active), Tone.BAD if held else Tone.PLAIN, self.stale)
        path = active[0].path if active else ""
        if path != self._running_path:
            self._running_path = path
            self.tree.reveal(path)

    # -- commands ----------------------------------------------------------------------------------------------------

    def _allow(self, view: BatchView | None) -> None:
        element = self._element(view)
        why = self.scene.why_not("operate")
        what = "nothing is chosen" if element is None or view is None else _named(view.summary.batch, element)
        self._target.say(f"Commands to {what}", Tone.PLAIN, self.stale)
        for name, push in self.buttons.items():
            reason = why
            if not reason and (element is None or name not in element.commands):
                reason = f"{what} cannot {name} now"
            if not reason and name in NEEDS_REASON and not self.reason.text().strip():
                reason = f"{name} needs a reason"
            push.setEnabled(not reason)
            push.setToolTip(reason)

    def _element(self, view: BatchView | None) -> ElementView | None:
        if view is None:
            return None
        selected = self.tree.selected() or ROOT
        return next((one for one in view.elements if (one.path or ROOT) == selected), None)

    def _command(self, name: CommandName) -> None:
        view = self._view(self.scene.picture, self.list.selected())
        element = self._element(view)
        if view is None or element is None:
            return
        batch, path = view.summary.batch, element.path
        if name not in FOR_GOOD:
            self._send(batch, path, name)
            return
        box = QMessageBox(QMessageBox.Icon.NoIcon, name.capitalize(), f"{name.capitalize()} {_named(batch, element)}?")
        box.setParent(self, Qt.WindowType.Dialog)
        box.setObjectName("batch.sure")
        box.setInformativeText("It goes to its safe state and ends for good: it cannot be restarted.")
        sure = box.addButton(name.capitalize(), QMessageBox.ButtonRole.AcceptRole)
        sure.setObjectName("batch.sure.yes")
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.accepted.connect(lambda: self._send(batch, path, name))
        box.finished.connect(lambda _: box.deleteLater())
        box.open()

    def _send(self, batch: str, path: str, name: CommandName) -> None:
        command = BatchCommand(command=name, reason=self.reason.text(), path=path)

        def done(_: BatchView) -> None:
            self.reason.clear()
            self.error.succeed(f"{name} sent")

        self.error.clear()
        self.scene.act(
            self,
            lambda client: client.command_batch(batch, command),
            done,
            lambda why: self.error.fail(words.first_line(why)),
        )


def _named(batch: str, element: ElementView) -> str:
    return f"{words.step_name(element.path)} of {batch}" if element.path else f"the whole batch {batch}"


def _told(summary: BatchSummary, active: list[ElementView]) -> str:
    """What goes on, in words."""
    if summary.state in words.ENDED:
        return words.state(summary.state)
    lines = [
        f"{words.state(one.state)}: {words.step_name(one.path)}{f', waits for {one.waiting}' if one.waiting else ''}"
        for one in active
    ]
    if summary.reconciliation_due:
        lines.append("A reconciliation is to be signed before the batch can be restarted.")
    return "\n".join(lines) or words.state(summary.state)


def _batch_row(one: BatchSummary) -> Row:
    tone = Tone.PLAIN
    if one.state in words.ABNORMAL_STATES - words.ENDED:
        tone = Tone.BAD
    elif one.state not in words.ENDED:
        tone = Tone.STRONG
    tip = f"{one.recipe}\n{one.purpose}\nsince {when.moment(one.created)} UTC"
    state = f"{words.state(one.state)}, training" if one.kind == "training" else words.state(one.state)
    return Row(one.batch, (one.batch, Cell(state, tone)), "", tip)


def _element_row(element: ElementView, active: bool) -> Row:
    begun = element.state not in words.ENDED and element.state != "Idle"
    ended = Tone.DIM if element.state == "Idle" else Tone.PLAIN
    tone = (Tone.RUNNING if active else Tone.STRONG) if begun else ended
    state_tone = tone
    if element.state in words.ABNORMAL_STATES:
        state_tone = Tone.HALTED if active else Tone.BAD
    name = element.path.rpartition("/")[2] or "Procedure"
    cells = (Cell(name, tone), Cell(words.state(element.state), state_tone), Cell(element.waiting, tone))
    parent = element.path.rpartition("/")[0] or (ROOT if element.path else "")
    return Row(element.path or ROOT, cells, parent, element.waiting or f"{element.kind} {element.path}".strip())
