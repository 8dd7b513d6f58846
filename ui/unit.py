"""One unit (ISA-101 level 2): its tags with value, unit, quality and owner; its loops, interlocks and connections."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from evcontrol.api.picture import Picture
from evcontrol.api.schema import InterlockView, LoopView, TagView
from ui import readings, when, words
from ui.by_hand import CommandDialog, LoopDialog, ModeDialog
from ui.parts import View, Words, button, column, heading
from ui.scene import Scene
from ui.table import Cell, Column, Row, Table
from ui.theme import Tone

GROUPS = ("Measurements", "Setpoints and commands", "States")


class UnitPage(View):
    """Everything of one unit; ``SYS`` is the engine itself."""

    def __init__(self, scene: Scene, unit: str) -> None:
        super().__init__(scene, f"unit.{unit}")
        self.unit = unit
        self.title = "System" if unit == readings.SYSTEM else unit
        self._head = Words(f"unit.{unit}.head", elided=True)
        self._state = Words(f"unit.{unit}.state", size=1.1)
        self.tags = Table(
            f"unit.{unit}.tags",
            [
                Column("Tag", 18),
                Column("Description", 0),
                Column("Value", 11, numeric=True),
                Column("Unit", 8),
                Column("Range", 12),
                Column("Quality", 25),
                Column("Owner", 16),
            ],
            tree=True,
        )
        self.loops = Table(
            f"unit.{unit}.loops",
            [Column("Loop", 11), Column("Mode", 8), Column("Setpoint", 13, numeric=True), Column("Now", 0)],
        )
        self.interlocks = Table(f"unit.{unit}.interlocks", [Column("Interlock", 23), Column("State", 0)])
        self.links = Table(f"unit.{unit}.links", [Column("Device", 11), Column("State", 14), Column("Since (UTC)", 0)])
        self._command = button("Command…", f"unit.{unit}.command", "Command the selected tag by hand")
        self._loop = button("Loop…", f"unit.{unit}.loop", "Change mode and setpoint of the selected loop")
        self._mode = button("Mode…", f"unit.{unit}.mode", "Change the mode of the unit")
        self._command.clicked.connect(self._command_tag)
        self._loop.clicked.connect(self._change_loop)
        self._mode.clicked.connect(self._change_mode)
        self.tags.itemDoubleClicked.connect(lambda *_: self._command_tag())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.setSpacing(8)
        layout.addLayout(self._head_row())
        layout.addWidget(self._body(), 1)

    def draw(self, picture: Picture) -> None:
        """Draw what has changed."""
        self._show_head(picture)
        self.tags.show_rows(self._tag_rows(picture))
        self.loops.show_rows([_loop_row(picture, loop) for loop in picture.loops if loop.unit == self.unit])
        mine = [one for one in picture.interlocks if one.unit == self.unit]
        self.interlocks.show_rows([_interlock_row(one) for one in sorted(mine, key=lambda one: not one.tripped)])
        self.links.show_rows(self._link_rows(picture))
        tag = picture.tags.get(self.tags.selected())
        self._allow(self._command, tag is not None and tag.writable is not None, "Select a tag that can be commanded")
        self._allow(self._loop, bool(self.loops.selected()), "Select a loop")
        self._allow(self._mode, True, "")

    # -- how it is laid out ------------------------------------------------------------------------------------------

    def _head_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(heading(self.title, 1.4))
        row.addSpacing(10)
        row.addWidget(self._state)
        row.addSpacing(10)
        row.addWidget(self._head, 1)
        if self.unit != readings.SYSTEM:
            for one in (self._mode, self._loop, self._command):
                row.addWidget(one)
        return row

    def _body(self) -> QWidget:
        right = QWidget()
        if self.unit == readings.SYSTEM:
            right.setLayout(column(heading("Connections"), self.links, stretch=1))
        else:
            parts = (heading("Loops"), self.loops, heading("Interlocks"), self.interlocks)
            right.setLayout(column(*parts, heading("Connections"), self.links, stretch=3))
            self.loops.setFixedHeight(110)
            self.links.setFixedHeight(150)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setObjectName(f"unit.{self.unit}.splitter")
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.tags)
        splitter.addWidget(right)
        splitter.setStretchFactor(0, 5)
        splitter.setStretchFactor(1, 3)
        splitter.setSizes([890, 350])
        return splitter

    # -- what is shown -----------------------------------------------------------------------------------------------

    def _show_head(self, picture: Picture) -> None:
        unit = next((unit for unit in picture.units if unit.unit == self.unit), None)
        if unit is None:
            status = picture.status
            self._head.say(f"engine {status.version}, plant {status.plant}", Tone.DIM, self.stale)
            return
        state = readings.state_of(picture, self.unit)
        self._state.say(words.state(state), Tone.BAD if state in words.ABNORMAL_STATES else Tone.STRONG, self.stale)
        facts = [
            f"phase {readings.phase_of(picture, self.unit)}" if readings.phase_of(picture, self.unit) else "",
            f"batch {unit.batch}" if unit.batch else "no batch",
            f"{unit.mode} mode",
            f"holds {readings.content_of(picture, self.unit)}" if readings.content_of(picture, self.unit) else "",
            "safe state held" if unit.safe else "",
        ]
        self._head.say("   ·   ".join(fact for fact in facts if fact), Tone.PLAIN, self.stale)

    def _tag_rows(self, picture: Picture) -> list[Row]:
        grouped: dict[str, list[TagView]] = {group: [] for group in GROUPS}
        for tag in readings.of_unit(picture, self.unit):
            grouped[_group(tag)].append(tag)
        rows = []
        for group, tags in grouped.items():
            if tags:
                rows.append(Row(group, (Cell(f"{group} ({len(tags)})", Tone.STRONG),)))
                rows += [_tag_row(picture, tag, group) for tag in tags]
        return rows

    def _link_rows(self, picture: Picture) -> list[Row]:
        rows = []
        for link in picture.links:
            if self.unit not in (readings.SYSTEM, *link.units):
                continue
            good = link.state == "ready"
            state = Cell(link.state if good else f"✕ {link.state}", Tone.PLAIN if good else Tone.BAD)
            since = f"{when.time_of_day(link.since)}{f', {link.reason}' if link.reason else ''}"
            back = f"; came back {link.reconnects} times" if link.reconnects else ""
            rows.append(Row(link.device, (link.device, state, f"{since}{back}")))
        return rows

    # -- by hand -----------------------------------------------------------------------------------------------------

    def _allow(self, what: QWidget, there: bool, missing: str) -> None:
        why = self.scene.why_not("command") or ("" if there else missing)
        what.setEnabled(not why)
        if why:
            what.setToolTip(why)

    def _command_tag(self) -> None:
        picture = self.scene.picture
        tag = picture.tags.get(self.tags.selected()) if picture is not None else None
        if tag is not None and tag.writable is not None and self.scene.may("command"):
            CommandDialog(self.scene, tag, self).open()

    def _change_loop(self) -> None:
        picture = self.scene.picture
        if picture is not None and self.scene.may("command"):
            for loop in picture.loops:
                if loop.loop == self.loops.selected():
                    LoopDialog(self.scene, loop, self).open()

    def _change_mode(self) -> None:
        picture = self.scene.picture
        if picture is not None and self.scene.may("command"):
            for unit in picture.units:
                if unit.unit == self.unit:
                    ModeDialog(self.scene, unit, self).open()


def _group(tag: TagView) -> str:
    if tag.writable is not None:
        return GROUPS[1]
    return GROUPS[0] if readings.is_measured(tag) else GROUPS[2]


def _tag_row(picture: Picture, tag: TagView, group: str) -> Row:
    owner = words.owner(picture.owners.get(tag.name)) if tag.writable is not None else ""
    scale = readings.scale(picture, tag)
    quality = readings.quality_cell(picture, tag)
    cells = (
        words.short(tag.name),
        Cell(tag.description, Tone.DIM),
        readings.value_cell(picture, tag),
        Cell(tag.unit, Tone.DIM),
        Cell("", Tone.PLAIN, scale),
        quality,
        Cell(words.brief(owner), Tone.DIM if owner == "nobody" else Tone.PLAIN),
    )
    tip = [f"{tag.name}: {tag.description}", owner, quality.text]
    if tag.low is not None and tag.high is not None:
        tip.append(f"range {tag.low:g} to {tag.high:g} {tag.unit}")
    return Row(tag.name, cells, group, "\n".join(line for line in tip if line))


def _loop_row(picture: Picture, loop: LoopView) -> Row:
    unit = picture.tags[loop.pv].unit if loop.pv in picture.tags else ""
    setpoint = f"{loop.setpoint:g} {unit}" if loop.setpoint is not None else "none"
    now = picture.text(loop.pv)
    tip = f"{loop.loop}: {loop.pv} by {loop.output}{f'; {loop.note}' if loop.note else ''}"
    tone = Tone.BAD if now == "Bad" else Tone.VALUE
    return Row(loop.loop, (words.short(loop.loop), loop.mode, setpoint, Cell(now, tone)), "", tip)


def _interlock_row(one: InterlockView) -> Row:
    tone = Tone.BAD if one.tripped or one.bypassed_until else Tone.DIM
    cells = (words.short(one.interlock), Cell(words.interlock_state(one), tone))
    return Row(one.interlock, cells, "", f"{one.interlock}: {one.description}\n{one.consequence}")
