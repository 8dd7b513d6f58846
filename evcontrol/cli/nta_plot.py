"""Size distributions of NTA exports as an SVG picture of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from drivers.nta_export import NtaExport
from evcontrol.batch.markup import element, show

WIDTH: Final = 900
HEIGHT: Final = 420
LEFT, RIGHT, TOP, BOTTOM = 80, 16, 28, 44
COLOURS: Final = ("#0b5cad", "#b54708", "#116329", "#6639a6", "#a40e26", "#57606a")
SHOWN: Final = 0.999
"""Share of the particles up to which sizes are shown."""


def plot(exports: Sequence[tuple[str, NtaExport]]) -> str:
    """The average distribution of each export, in the cell, over the range that its videos span."""
    right = max(_largest(export) for _, export in exports)
    highest = max(max(column) for _, export in exports for column in (one.bins for one in export.valid_replicates))
    top = highest * 1.05 or 1.0
    parts = list(_axes(right, top))
    for place, (name, export) in enumerate(exports):
        colour = COLOURS[place % len(COLOURS)]
        sizes = [size for size in export.bin_centres if size <= right]
        columns = list(zip(*(one.bins for one in export.valid_replicates), strict=True))[: len(sizes)]
        above = [_point(size, max(column), right, top) for size, column in zip(sizes, columns, strict=True)]
        below = [_point(size, min(column), right, top) for size, column in zip(sizes, columns, strict=True)]
        line = [_point(size, c, right, top) for size, c in zip(sizes, export.distribution, strict=False)]
        parts.append(f'<polygon points="{" ".join(above + below[::-1])}" fill="{colour}" fill-opacity="0.2"/>')
        parts.append(f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        y = TOP + 10 + 14 * place
        parts.append(f'<rect x="{WIDTH - 330}" y="{y - 7}" width="14" height="3" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - 312}" y="{y}" font-size="11">{show(_short(name))}</text>')
    title = element("title", "Size distribution")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif">'
        f'{title}<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _largest(export: NtaExport) -> float:
    """The size, rounded up to 50 nm, below which nearly all particles lie."""
    below, total = 0.0, sum(export.distribution)
    for size, c in zip(export.bin_centres, export.distribution, strict=True):
        below += c
        if below >= SHOWN * total:
            return max(50.0, math.ceil(size / 50.0) * 50.0)
    return export.bin_centres[-1]


def _point(size: float, c: float, right: float, top: float) -> str:
    x = LEFT + (WIDTH - LEFT - RIGHT) * size / right
    return f"{x:.1f},{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * c / top:.1f}"


def _axes(right: float, top: float) -> Iterable[str]:
    bottom = HEIGHT - BOTTOM
    for value in _ticks(top, 5):
        _, y = _point(0.0, value, right, top).split(",")
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#eaeef2"/>'
        yield f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" font-size="11" text-anchor="end">{value:.3g}</text>'
    for value in _ticks(right, 10):
        x, _ = _point(value, 0.0, right, top).split(",")
        yield f'<line x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 4}" stroke="#1b1f24"/>'
        yield f'<text x="{x}" y="{bottom + 17}" font-size="11" text-anchor="middle">{value:g}</text>'
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="#1b1f24"/>'
    yield f'<text x="{WIDTH - RIGHT}" y="{bottom + 35}" font-size="12" text-anchor="end">size, nm</text>'
    words = "particles/mL in each nm, in the cell: average, lowest and highest of the videos"
    yield f'<text x="{LEFT - 6}" y="{TOP - 10}" font-size="12">{words}</text>'


def _ticks(top: float, count: int) -> list[float]:
    """Round numbers from 0 that part a range."""
    power = 10.0 ** math.floor(math.log10(top / count))
    step = next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= top / count * 0.999)
    return [step * i for i in range(int(top / step + 1e-9) + 1)]


def _short(name: str) -> str:
    return name if len(name) <= 46 else f"{name[:43]}..."
