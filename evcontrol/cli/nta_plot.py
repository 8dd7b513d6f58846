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
    """The distribution of each export, in the cell and for each nm, over the range that its replicates span."""
    right = max(_largest(export) for _, export in exports)
    curves = [_curves(export) for _, export in exports]
    top = max(max(above) for _, _, above in curves) * 1.05 or 1.0
    parts = list(_axes(right, top))
    for place, ((name, export), (below, average, above)) in enumerate(zip(exports, curves, strict=True)):
        colour = COLOURS[place % len(COLOURS)]
        count = sum(size <= right for size in export.bin_centres)
        low, line, high = (
            [_point(*pair, right, top) for pair in zip(export.bin_centres[:count], curve, strict=False)]
            for curve in (below, average, above)
        )
        parts.append(f'<polygon points="{" ".join(high + low[::-1])}" fill="{colour}" fill-opacity="0.2"/>')
        parts.append(f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        y = TOP + 10 + 14 * place
        parts.append(f'<rect x="{WIDTH - 330}" y="{y - 7}" width="14" height="3" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - 312}" y="{y}" font-size="11">{show(_short(name))}</text>')
    title = element("title", "Size distribution")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif">'
        f'{title}<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _curves(export: NtaExport) -> tuple[list[float], list[float], list[float]]:
    """Lowest, average and highest of the replicates, per nm: bins of 1 and of 5 nm are comparable only so."""
    width = export.bin_centres[1] - export.bin_centres[0]
    columns = list(zip(*(one.bins for one in export.valid_replicates if one.bins), strict=True))
    average = [c / width for c in export.distribution]
    if not columns:
        return average, average, average
    return [min(column) / width for column in columns], average, [max(column) / width for column in columns]


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
    words = "particles/mL in each nm, in the cell: average, lowest and highest of the replicates"
    yield f'<text x="{LEFT - 6}" y="{TOP - 10}" font-size="12">{words}</text>'


def _ticks(top: float, count: int) -> list[float]:
    """Round numbers from 0 that part a range."""
    power = 10.0 ** math.floor(math.log10(top / count))
    step = next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= top / count * 0.999)
    return [step * i for i in range(int(top / step + 1e-9) + 1)]


def _short(name: str) -> str:
    return name if len(name) <= 46 else f"{name[:43]}..."
