"""The overview (ISA-101 level 1): every unit with its state, its batch, who owns its actuators, and its key values."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from evcontrol.api.picture import Picture
from evcontrol.api.schema import TagView, UnitView
from ui import bar, readings, words
from ui.parts import View, Words, button, column, heading, panel, scrolled
from ui.scene import Scene
from ui.table import Cell, Column, Row, Table
from ui.theme import Tone

_COLUMNS = 3
"""Columns of values over all units together."""
_VALUE_WIDTH = 118
"""Pixels for a value with its unit, so that the bars of a column are of one length."""


class Overview(View):
    """All units side by side, and the connections."""

    title = "Overview"

    def __init__(self, scene: Scene, show_unit: Callable[[str], None]) -> None:
        super().__init__(scene, "overview")
        self._show_unit = show_unit
        self._cards: dict[str, _UnitCard] = {}
        self._units = QHBoxLayout()
        self._units.setSpacing(10)
        self._links = Words("overview.links", elided=True)
        links = QHBoxLayout()
        links.addWidget(heading("Connections", 1.0))
        links.addSpacing(8)
        links.addWidget(self._links, 1)
        self.batches = Table(
            "overview.batches",
            [Column("Batch", 9), Column("Recipe", 40), Column("State", 16), Column("Step", 26), Column("Waits for", 0)],
        )
        self.batches.setFixedHeight(100)
        running = panel(column(heading("Batches under way", 1.0), self.batches))
        whole = column(self._units, running, panel(links), spacing=10)
        whole.addStretch(1)
        inside = QWidget()
        inside.setLayout(whole)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.addWidget(scrolled(inside, "overview.scroll"))
        scene.renewed.connect(self._rebuild)

    def draw(self, picture: Picture) -> None:
        """Draw what has changed."""
        for unit in picture.units:
            if unit.unit in self._cards:
                self._cards[unit.unit].show_unit(self.scene, picture, unit)
        self.batches.show_rows(_batch_rows(picture))
        lost = [link for link in picture.links if link.state != "ready"]
        ready = [link.device for link in picture.links if link.state == "ready"]
        told = [f"✕ {link.device} {link.state}{f': {link.reason}' if link.reason else ''}" for link in lost]
        told += [f"{', '.join(ready)}: ready"] if ready else []
        self._links.say(";  ".join(told), Tone.BAD if lost else Tone.PLAIN, self.stale)

    def _rebuild(self, picture: Picture) -> None:
        wanted = {unit.unit: [tag.name for tag in readings.key_values(picture, unit.unit)] for unit in picture.units}
        if wanted == {name: card.names for name, card in self._cards.items()}:
            return
        for card in self._cards.values():
            card.setParent(None)
            card.deleteLater()
        columns = max(1, _COLUMNS // max(1, len(wanted)))
        self._cards = {}
        for unit in picture.units:
            card = _UnitCard(unit.unit, readings.key_values(picture, unit.unit), columns)
            card.more.clicked.connect(lambda _=False, name=unit.unit: self._show_unit(name))
            self._cards[unit.unit] = card
            self._units.addWidget(card, 1, Qt.AlignmentFlag.AlignTop)


class _UnitCard(QFrame):
    """One unit."""

    def __init__(self, unit: str, tags: list[TagView], columns: int) -> None:
        super().__init__()
        name = f"overview.{unit}"
        self.setObjectName(name)
        self.setProperty("panel", True)
        self.names = [tag.name for tag in tags]
        self._state = Words(f"{name}.state", size=1.1)
        self._safe = Words(f"{name}.safe")
        self.more = button("Details", f"{name}.more", f"Everything of {unit}")
        head = QHBoxLayout()
        head.addWidget(heading(unit, 1.4))
        head.addSpacing(8)
        head.addWidget(self._state)
        head.addStretch(1)
        head.addWidget(self._safe)
        head.addWidget(self.more)
        self._facts = {
            fact: Words(f"{name}.{fact.lower()}", elided=True) for fact in ("Batch", "Phase", "Mode", "Actuators")
        }
        facts = QGridLayout()
        facts.setHorizontalSpacing(10)
        facts.setVerticalSpacing(3)
        facts.setColumnStretch(1, 1)
        for row, (fact, shown) in enumerate(self._facts.items()):
            facts.addWidget(Words(text=fact, tone=Tone.DIM), row, 0)
            facts.addWidget(shown, row, 1)
        self._values = [_KeyValue(name, tag) for tag in tags]
        values = QGridLayout()
        values.setHorizontalSpacing(24)
        values.setVerticalSpacing(4)
        deep = -(-len(tags) // columns) if tags else 1
        for place, value in enumerate(self._values):
            values.addWidget(value, place % deep, place // deep)
        layout = column(head, facts, values, spacing=10)
        layout.setContentsMargins(12, 10, 12, 12)
        self.setLayout(layout)

    def show_unit(self, scene: Scene, picture: Picture, unit: UnitView) -> None:
        """Show it as it is now."""
        stale = not scene.live
        state = readings.state_of(picture, unit.unit)
        tone = Tone.BAD if state in words.ABNORMAL_STATES else Tone.STRONG
        self._state.say(words.state(state), tone, stale)
        self._safe.say("safe state held" if unit.safe else "", Tone.STRONG, stale)
        batch = picture.batches.get(unit.batch)
        recipe = f"  {batch.summary.recipe}" if batch is not None else ""
        self._facts["Batch"].say(f"{unit.batch}{recipe}" if unit.batch else "none", Tone.PLAIN, stale)
        self._facts["Phase"].say(readings.phase_of(picture, unit.unit) or "none", Tone.PLAIN, stale)
        content = readings.content_of(picture, unit.unit)
        mode = f"{unit.mode}, holds {content}" if content else unit.mode
        self._facts["Mode"].say(mode, Tone.PLAIN if unit.mode == "automatic" else Tone.STRONG, stale)
        owned = readings.owners(picture, unit.unit)
        told = [f"{len(tags)} by {words.brief(who)}" for who, tags in owned]
        self._facts["Actuators"].say(", ".join(told) or "none", Tone.PLAIN, stale)
        for value in self._values:
            value.show_value(scene, picture)


class _KeyValue(QWidget):
    """One value: what it is, the number with its unit, its place in the range, and its quality."""

    def __init__(self, card: str, tag: TagView) -> None:
        super().__init__()
        self._tag = tag
        name = f"{card}.{words.short(tag.name)}"
        self.setObjectName(name)
        self.setToolTip(f"{tag.name}: {tag.description}")
        self._label = Words(f"{name}.label", tag.description or words.short(tag.name), elided=True)
        self._value = Words(f"{name}.value", tone=Tone.VALUE)
        self._value.setMinimumWidth(_VALUE_WIDTH)
        self._value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._bar = bar.Bar()
        self._bar.setObjectName(f"{name}.bar")
        self._quality = Words(f"{name}.quality", size=0.85)
        self._quality.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(0)
        grid.setColumnStretch(0, 1)
        grid.addWidget(self._label, 0, 0)
        grid.addWidget(self._value, 0, 1, Qt.AlignmentFlag.AlignRight)
        grid.addWidget(self._bar, 1, 0)
        grid.addWidget(self._quality, 1, 1)

    def show_value(self, scene: Scene, picture: Picture) -> None:
        """Show it as it is now."""
        stale = not scene.live
        cell, quality = readings.value_cell(picture, self._tag), readings.quality_cell(picture, self._tag)
        text = cell.text if cell.tone is Tone.BAD else f"{cell.text} {self._tag.unit}"
        self._label.say(self._label.said, Tone.PLAIN, stale)
        self._value.say(text, Tone.BAD if cell.tone is Tone.BAD else Tone.STRONG, stale)
        self._quality.say(quality.text.removeprefix("Bad: "), quality.tone, stale)
        self._bar.show_value(readings.scale(picture, self._tag), stale)


def _batch_rows(picture: Picture) -> list[Row]:
    """What has begun and not ended: a line for each step that runs."""
    rows = []
    for view in picture.batches.values():
        summary = view.summary
        if summary.state in words.ENDED:
            continue
        tone = Tone.BAD if summary.state in words.ABNORMAL_STATES else Tone.STRONG
        for element in words.active_steps(view.elements) or view.elements[:1]:
            cells = (
                summary.batch,
                summary.recipe,
                Cell(words.state(element.state), tone),
                words.step_name(element.path),
                element.waiting,
            )
            rows.append(Row(f"{summary.batch} {element.path}", cells))
    return rows
