"""Makes the pictures of README.md from a real demo: ``python docs/pictures.py`` (about two minutes).

It runs ``evcontrol demo`` in a temporary directory, follows it as a second client, and writes into ``docs/images/``:

* ``demo.svg``: the demo's live display in the middle of diafiltration;
* ``report.svg``: weights, pressure and flux of the batch report of the same run.

To be run by hand when the display, the report or the shipped recipe changes.
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from evcontrol.api.client import Client, EngineGoneError
from evcontrol.api.picture import Picture
from evcontrol.batch.record import read_record
from evcontrol.batch.trends import HEIGHT, WIDTH, trends
from evcontrol.cli.demo_script import load_script
from evcontrol.cli.demo_show import LiveDisplay, Progress
from evcontrol.clock import LiveClock
from evcontrol.history.reader import HistoryReader

IMAGES = Path(__file__).parent / "images"
BATCH = "B-0001"
WHEN_DV = 3.0
"""Diavolumes exchanged when the display is taken."""
CHARTS = 3
"""How many charts of the report are shown: oxygen, pH, glucose and lactate of the culture."""
COLUMNS = 104


class _Caught(Live):
    """A live display that keeps what it is told to show instead of showing it."""

    shown: RenderableType = ""

    def update(self, renderable: RenderableType, *, refresh: bool = False) -> None:
        """Keep it."""
        self.shown = renderable


async def main() -> int:
    """Run the demo, and take both pictures."""
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "demo"
        demo = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "evcontrol.cli.main", "demo", "--headless", "--out", str(data))
        )
        shown = await _display(data)
        if await demo.wait() != 0:
            return 1
        IMAGES.mkdir(exist_ok=True)
        _write("demo.svg", _terminal(shown))
        _write("report.svg", _charts(data))
    return 0


async def _display(data: Path) -> RenderableType:
    """What the demo's live display shows when so many diavolumes are exchanged."""
    clock = LiveClock()
    while not (data / "run" / "endpoint.json").exists():
        await clock.sleep(0.1)
    caught = _Caught(auto_refresh=False)
    async with Client.of(data) as client:
        picture = Picture(await client.snapshot())
        progress = Progress(picture, load_script(), BATCH)
        display = LiveDisplay(progress, caught)
        async with aclosing(client.stream()) as stream:
            try:
                async for message in stream:
                    picture.apply(message)
                    progress.note()
                    display.update(clock.monotonic())
                    if (picture.number("TFF201.DV") or 0.0) >= WHEN_DV:
                        break
            except EngineGoneError:
                return caught.shown
    return caught.shown


def _terminal(shown: RenderableType) -> str:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(shown)
    picture = console.export_svg(title="evcontrol demo")
    # Fonts of this machine do: a picture in a document should fetch nothing.
    return re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)


def _charts(data: Path) -> str:
    """The first charts of the batch report, one below the other."""
    drawn = str(trends(read_record(data, BATCH), HistoryReader(data / "history")))
    charts = re.findall(r"<svg viewBox.*?</svg>", drawn, re.DOTALL)[:CHARTS]
    placed = [
        chart.replace("<svg ", f'<svg x="0" y="{number * HEIGHT}" width="{WIDTH}" height="{HEIGHT}" ', 1)
        for number, chart in enumerate(charts)
    ]
    size = f"0 0 {WIDTH} {CHARTS * HEIGHT}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" font-family="system-ui, sans-serif">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(placed) + "\n</svg>\n"
    )


def _write(name: str, text: str) -> None:
    (IMAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
