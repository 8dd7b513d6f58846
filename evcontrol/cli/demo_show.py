"""How the demo shows a batch: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from evcontrol.api.picture import Picture
from evcontrol.api.schema import BatchView, ElementView
from evcontrol.cli.demo_script import Script

_NS = 1_000_000_000
_ENDED = frozenset({"Complete", "Stopped", "Aborted"})
LINE_EVERY_S = 5.0
"""Real time between two plain lines while nothing happens but values changing."""
REDRAW_EVERY_S = 0.25


class Progress:
    """What of a batch is worth a line: the running phases, what they wait for, and about how long it will take."""

    def __init__(self, picture: Picture, script: Script, batch: str) -> None:
        self.picture = picture
        self.script = script
        self.batch = batch
        self._began: dict[str, int] = {}

    @property
    def view(self) -> BatchView | None:
        """The batch as last seen."""
        return self.picture.batches.get(self.batch)

    def note(self) -> None:
        """Remember when each phase was first seen running."""
        for element in self.phases():
            if element.state != "Idle":
                self._began.setdefault(element.path, self.picture.t)

    def phases(self) -> list[ElementView]:
        """The lowest elements of the procedure."""
        return [e for e in self.view.elements if e.kind == "phase"] if self.view else []

    def active(self) -> list[ElementView]:
        """The phases that have begun and not ended."""
        return [e for e in self.phases() if e.state not in _ENDED and e.state != "Idle"]

    def minutes_left(self) -> float:
        """Estimate of the process time left, minutes."""
        left = 0.0
        for element in self.phases():
            usual = self.script.minutes.get(element.path, 0.0)
            if element.state == "Idle":
                left += usual
            elif element.state not in _ENDED:
                spent = (self.picture.t - self._began.get(element.path, self.picture.t)) / _NS / 60
                left += max(0.0, usual - spent)
        return left

    def minutes_done(self) -> float:
        """Process time since the batch was made, minutes."""
        return (self.picture.t - self.view.summary.created) / _NS / 60 if self.view else 0.0

    def troubles(self) -> list[str]:
        """Alarms, tripped interlocks and lost links, each as a line."""
        picture = self.picture
        lines = [f"{a.priority} alarm {a.alarm}: {a.text} ({a.state})" for a in picture.alarms]
        lines += [
            f"interlock {i.interlock} tripped: {i.cause or i.description}" for i in picture.interlocks if i.tripped
        ]
        lines += [f"{link.device} {link.state}: {link.reason}" for link in picture.links if link.state != "ready"]
        return lines


class PlainLines:
    """One line whenever a phase, what it waits for or a trouble changes, and every few seconds the key values."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._said: object = None
        self._at = 0.0

    def update(self, now: float) -> None:
        """Print what is due; ``now`` is real time in seconds."""
        progress = self._progress
        what = ([(e.path, e.state) for e in progress.active()], progress.troubles())
        if what == self._said and now - self._at < LINE_EVERY_S:
            return
        if what[1] and (self._said is None or what != self._said):
            for trouble in what[1]:
                self._print(f"  ! {trouble}")
        self._said, self._at = what, now
        phases = ", ".join(f"{e.path} {e.state}" for e in progress.active()) or "no phase runs"
        waiting = "; ".join(e.waiting for e in progress.active() if e.waiting)
        values = "  ".join(f"{_short(tag)} {progress.picture.text(tag)}" for tag in progress.script.key_tags)
        self._print(f"{_clock_line(progress)}  {phases}{f' [{waiting}]' if waiting else ''}  {values}")

    def finish(self) -> None:
        """Say that the batch has ended, and how."""
        if self._progress.view is not None:
            summary = self._progress.view.summary
            self._print(f"batch {summary.batch} is {summary.state}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """The same as a display that is redrawn in place."""

    def __init__(self, progress: Progress, live: Live) -> None:
        self._progress = progress
        self._live = live
        self._at = 0.0

    def update(self, now: float) -> None:
        """Redraw when it is time; ``now`` is real time in seconds."""
        if now - self._at >= REDRAW_EVERY_S:
            self._at = now
            self._live.update(self._render(), refresh=True)

    def finish(self) -> None:
        """Leave the batch on the screen as it ended."""
        self._live.update(self._render(), refresh=True)

    def _render(self) -> RenderableType:
        progress = self._progress
        state = progress.view.summary.state if progress.view else ""
        head = Text(f"Batch {progress.batch} {state}   {_clock_line(progress)}", style="bold")
        phases = Table.grid(padding=(0, 2))
        for element in progress.phases():
            mark = {"Complete": "✓", "Idle": "·"}.get(element.state, "▶")
            name = element.path.rpartition("/")[2]
            phases.add_row(Text(mark), Text(name), Text(element.state), Text(element.waiting))
        values = Table.grid(padding=(0, 2))
        for tag in progress.script.key_tags:
            described = progress.picture.tags[tag].description if tag in progress.picture.tags else ""
            values.add_row(Text(tag), Text(progress.picture.text(tag), justify="right"), Text(described, style="dim"))
        troubles = [Text(f"! {trouble}", style="bold red") for trouble in progress.troubles()]
        return Group(head, Text(""), phases, Text(""), values, Text(""), *troubles)


@contextmanager
def display(progress: Progress, live: bool) -> Iterator[PlainLines | LiveDisplay]:
    """The display for this run."""
    console = Console()
    if not live:
        yield PlainLines(progress, console)
        return
    with Live(console=console, auto_refresh=False) as screen:
        yield LiveDisplay(progress, screen)


def _clock_line(progress: Progress) -> str:
    if progress.view is None:
        return "starting"
    speed = progress.picture.status.speed
    left = progress.minutes_left()
    return f"{progress.minutes_done():5.1f} min of process at {speed:g}x, about {left * 60 / speed:.0f} s left"


def _short(tag: str) -> str:
    return tag.partition(".")[2]
