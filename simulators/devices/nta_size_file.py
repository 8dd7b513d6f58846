"""The size file of ZetaView 8.06.01 SP1 as a text, and the table of its positions: each video is one position.

All tracks are counted together, in bins of 5 nm and once more in bins that grow evenly; a separator stands between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from simulators.devices.nta_counter import Measurement
from simulators.process.nta import BINS, CENTRES, FRAME_RATE, Array

VERSION: Final = "8.06.01 SP1"
SERIAL: Final = "24-0301"
WAVELENGTH: Final = 488
WIDTH: Final = 5.0
LINEAR: Final = 1200
LOGARITHMIC: Final = 200
SMALLEST, LARGEST = 4.683, 6025.0
"""Middles of the first and the last bin that grow evenly, nm."""
COLUMNS: Final = "Size / nm\tNumber\tConcentration / cm-3\tVolume / nm^3\tArea / nm^2"
TABLE: Final = (
    "Use\tPosition\tMean Int.\tAv. No of Particles\tConc. (p./mL)\tOrig. Conc. (p./cm^3)\tNo. of Traces\tX50 (nm)\t"
    "Peak Ø (nm)\tSpan\tDrift (µm/s)\tRemoval"
)
SEPARATOR: Final = "-1.000E+0\t-1.000E+0\t-1.000E+0\t-1.000E+0\t0.000E+0"


def size_file_name(measurement: Measurement) -> str:
    """The name of its size file; it holds day, request and sample."""
    worklist = measurement.worklist
    return f"{_experiment(measurement)}_{worklist.sample}_size_{WAVELENGTH}.txt"


def table_name(measurement: Measurement) -> str:
    """The name of its table of positions."""
    return f"{size_file_name(measurement).removesuffix('.txt')}_{len(measurement.videos)}pos.txt"


def size_file(measurement: Measurement) -> str:
    """The whole size file; lines end with LF. A measurement without a track has the separator only."""
    sizes = [_tracks(video.bins, video.valid_tracks) for video in measurement.videos]
    together = np.concatenate(sizes)
    concentration = float(np.mean([video.concentration for video in measurement.videos]))
    each = concentration / len(together) if len(together) else 0.0
    edges = np.arange(LINEAR + 1) * WIDTH
    middles: Array = (np.arange(LINEAR) + np.float64(0.5)) * np.float64(WIDTH)
    counted, _ = np.histogram(together, bins=edges)
    lines = [*_head(measurement, len(together)), *_medians(middles, counted), "Size Distribution", COLUMNS]
    if len(together):
        lines += _rows(middles, counted, each)
    lines.append(SEPARATOR)
    if len(together):
        ratio = (LARGEST / SMALLEST) ** (1.0 / (LOGARITHMIC - 1))
        growing: Array = SMALLEST * np.power(ratio, np.arange(LOGARITHMIC, dtype=np.float64))
        around = np.concatenate((growing / ratio**0.5, [LARGEST * ratio**0.5]))
        lines += _rows(growing, np.histogram(together, bins=around)[0], each)
    return "\n".join(lines) + "\n"


def table_of_positions(measurement: Measurement) -> str:
    """The table of positions; all are used."""
    dilution = measurement.recorded_dilution or 1.0
    columns = []
    for video in measurement.videos:
        sizes = _tracks(video.bins, video.valid_tracks)
        d10, d50, d90 = np.percentile(sizes, (10, 50, 90)) if len(sizes) else (0.0, 0.0, 0.0)
        peak = CENTRES[int(video.bins.argmax())] if len(sizes) else 0.0
        span = (d90 - d10) / d50 if d50 else 0.0
        counted = (video.particles_per_frame, video.concentration, video.concentration * dilution, video.valid_tracks)
        columns.append((16.0, *counted, d50, peak, span, abs(video.drift_x)))
    places = np.linspace(0.1, 0.9, len(columns))
    lines = [_position("X", f"{place:.2f}", column) for place, column in zip(places, columns, strict=True)]
    table = np.array(columns)
    mean, spread = table.mean(axis=0), table.std(axis=0, ddof=1) if len(columns) > 1 else np.zeros(9)
    share = 100.0 * spread / np.where(mean > 0.0, mean, 1.0)
    for name, row in (("Mean", mean), ("St.Dev.", spread), ("Rel.St.Dev.", share)):
        lines.append(_position("", name, row.tolist(), ".1f"))
    return "\n".join((TABLE, *lines)) + "\n"


def _experiment(measurement: Measurement) -> str:
    return f"{measurement.captured:%Y%m%d}_{measurement.worklist.request:04d}"


def _head(measurement: Measurement, traces: int) -> list[str]:
    worklist, videos, captured = measurement.worklist, measurement.videos, measurement.captured
    per_frame = float(np.mean([video.particles_per_frame for video in videos]))
    dilution = measurement.recorded_dilution or 1.0
    told = f"{traces}\t(at 0.099990)\tAverage Number of Particles:\t{per_frame:.6f}\tDilution::\t{dilution:.6f}"
    return [
        f"Original File:\tD:\\{size_file_name(measurement).removesuffix('.txt')}.avi\tSection:\t0.09999 [0]",
        "Operator:\tworklist",
        f"Experiment:\t{_experiment(measurement)}",
        f"ZetaView S/N:\t{SERIAL}",
        f"Software:\tZetaView (version {VERSION})\tAnalyze:\t{VERSION}",
        "SOP:\tEV_488",
        f"Sample:\t{worklist.sample}",
        "Electrolyte:\tPBS",
        "pH:\t7.000000\tentered",
        "Conductivity: 15000.000000\tsensed",
        "Temperature:\t22.000000\tsensed",
        "Viscosity:\t0.952941",
        f"Date:\t{captured:%Y-%m-%d}",
        f"Time:\t{captured:%H:%M:%S}",
        "General Remarks:\t",
        f"Remarks:\t{worklist.kind}",
        "Scattering Intensity:\t16.000000",
        f"Detected Particles:\t{per_frame:.0f}",
        "Particle Drift Checked:\t1904-01-01 01:00:00",
        "Particle Drift Check Result:\ttoo high",
        f"Cell Checked:\t{captured:%Y-%m-%d} 07:30:00",
        "Cell Check Result:\tVery Good",
        "Type of Measurement:\tSize Distribution",
        f"Positions:\t{len(videos)}",
        "Microscope Position:\t0.099993",
        f"Number of Traces:\t{told}",
        "Concentration Correction Factor:\t1.000000",
        "Image Evaluation:",
        "Minimum Tracelength:\t15",
        f"Camera:\tFpSec 30 #Cycles 1 FRate {FRAME_RATE:.6f}",
        "Sensitivity:\t80.000000",
        "Camera Trigger Duration µs:\tShutter Duration",
        f"Laser Wavelength nm:\t{WAVELENGTH}.000000",
        "Filter Wavelength nm:\tScatter",
        "Cell parameter:",
        "Micrometer per Pixel:\t0.713000",
        "Results (Pos 0.099993):",
    ]


def _medians(middles: Array, counted: Array) -> list[str]:
    """A bin counts as full at its middle, so that all medians lie half a bin low."""
    by_number = _median(middles, counted)
    by_volume = _median(middles, counted * middles**3)
    return [
        f"Median Number (D50):\t{by_number:.6f}",
        f"Median Concentration (D50):\t{by_number:.6f}",
        f"Median Volume (D50):\t{by_volume:.6f}",
    ]


def _median(middles: Array, weights: Array) -> float:
    total = float(weights.sum())
    if total <= 0.0:
        return 0.0
    below = np.cumsum(weights)
    place = int(np.searchsorted(below, total / 2))
    before = float(below[place - 1]) if place else 0.0
    return float(middles[place] - WIDTH + WIDTH * (total / 2 - before) / float(weights[place]))


def _tracks(bins: Array, count: int) -> Array:
    """So many sizes, spread as in a distribution of 1 nm bins."""
    total = float(bins.sum())
    if count == 0 or total <= 0.0:
        return np.zeros(0)
    wanted = (np.arange(count) + 0.5) / count * total
    return CENTRES[np.minimum(np.searchsorted(np.cumsum(bins), wanted), BINS - 1)]


def _rows(sizes: Array, counted: Array, each: float) -> list[str]:
    columns = (sizes, counted, counted * each, counted * np.pi / 6 * sizes**3, counted * np.pi / 4 * sizes**2)
    return ["\t".join(map(_scientific, row)) for row in np.column_stack(columns).tolist()]


def _position(use: str, name: str, values: Sequence[float], traces: str = ".0f") -> str:
    light, per_frame, measured, stock, count, d50, peak, span, drift = values
    cells = (
        f"{light:.1f}", f"{per_frame:.1f}", _scientific(measured, 1), _scientific(stock, 1), format(count, traces),
        f"{d50:.1f}", f"{peak:.1f}", f"{span:.1f}", f"{drift:.1f}",
    )  # fmt: skip
    return "\t".join((use, name, *cells, ""))


def _scientific(value: float, digits: int = 3) -> str:
    """``1.234E+5``: the exponent without zeros before it."""
    mantissa, _, exponent = f"{value:.{digits}E}".partition("E")
    return f"{mantissa}E{int(exponent):+d}"
