"""The experiment summary of NTA 3.4 as a text: sections, replicate columns, averages, 1000 bins, percentiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from simulators.devices.nta_counter import VIDEO_S, Measurement
from simulators.process.nta import BINS, CENTRES, FRAME_RATE, Array, Video

SOFTWARE: Final = "NTA 3.4 Build 3.4.003"
BIN_UNIT: Final = "Concentration (particles / ml)"
TOO_LOW: Final = 2.0
LOW: Final = 10.0
NOISY: Final = 150.0
"""Particles per frame below and above which the instrument warns."""
FEW_TRACKS: Final = (100, 200)
EDGES: Final[Array] = np.arange(BINS + 1, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Figures:
    """One video's figures as they are written: concentration and bins for the dilution corrected, sizes in nm."""

    name: str
    video: Video
    concentration: float
    bins: Array
    sizes: tuple[float, ...]
    """Mean, mode, SD, D10, D50, D90."""
    percentiles: Array


def file_name(measurement: Measurement) -> str:
    """The name of its export; it holds sample and request."""
    worklist = measurement.worklist
    return f"{worklist.sample} R{worklist.request:06d} {measurement.captured:%Y-%m-%d %H-%M-%S}-ExperimentSummary.csv"


def experiment_summary(measurement: Measurement) -> str:
    """The whole text of an export; lines end with LF."""
    videos = _videos(measurement)
    sizes = [
        _line(label, [f"{v.sizes[place]:.1f}" for v in videos], *_averages([v.sizes[place] for v in videos], ".1f"))
        for place, label in enumerate(("Mean", "Mode", "SD", "D10", "D50", "D90"))
    ]
    names = [v.name for v in videos]
    lines = [
        *_head(measurement, names),
        *_results(measurement, videos),
        *_opinions(videos),
        "[Data Included],",
        "Size distribution - Number weighting - With Percentiles,",
        ",",
        "[Size Data],,",
        "Analysis Method,FTLA,",
        "Weighting,Number,",
        _line("Filename", names, "Average", "Standard Error"),
        *sizes,
        _line("Valid Tracks", [f"{v.video.valid_tracks:.1f}" for v in videos], "", ""),
        "Graph Data,",
        _line("Bin centre (nm)", [BIN_UNIT] * len(videos), "Concentration average", "Standard Error"),
        *_graph(videos),
        "",
        _line("Percentile", ["Size (nm)"] * len(videos)),
        *(_line(str(p), [f"{v.percentiles[p]:.1f}" for v in videos]) for p in range(101)),
        "," * (len(videos) + 1),
    ]
    return "\n".join(lines) + "\n"


def _videos(measurement: Measurement) -> list[_Figures]:
    factor = measurement.recorded_dilution or 1.0
    found = []
    for i, video in enumerate(measurement.videos):
        at = measurement.captured + timedelta(seconds=VIDEO_S * i)
        total = video.concentration
        sizes, percentiles = _sizes(video.bins)
        name = f"{measurement.worklist.sample} {at:%Y-%m-%d %H-%M-%S}"
        found.append(_Figures(name, video, total * factor, np.round(video.bins * factor), sizes, percentiles))
    return found


def _sizes(bins: Array) -> tuple[tuple[float, ...], Array]:
    """Mean, mode, SD, D10, D50 and D90, and all percentiles; zeros without particles."""
    total = float(bins.sum())
    if total <= 0.0:
        return (0.0,) * 6, np.zeros(101)
    mean = float((CENTRES * bins).sum()) / total
    sd = math.sqrt(float(((CENTRES - mean) ** 2 * bins).sum()) / total)
    below = np.concatenate(([0.0], np.cumsum(bins) / total))
    filled = np.concatenate(([True], bins > 0.0))
    percentiles = np.interp(np.arange(101) / 100.0, below[filled], EDGES[filled])
    return (mean, float(CENTRES[int(bins.argmax())]), sd, *(float(percentiles[p]) for p in (10, 50, 90))), percentiles


def _head(measurement: Measurement, names: Sequence[str]) -> list[str]:
    n = len(names)
    conditions = (
        ("Temperature/C", "22.000"), ("Viscosity/cP", "0.952941"), ("Camera Type", "sCMOS"), ("Laser Type", "Blue488"),
        ("Camera Level", "14"), ("Slider Shutter", "1259"), ("Slider Gain", "366"), ("Shutter/ms", "31.480000"),
        ("Camera Histogram Upper Limit", "6588"), ("Camera Histogram Lower Limit", "0"),
        ("Frame rate/fps", f"{FRAME_RATE:.6f}"), ("Syringe Pump Speed/AU", "50"),
    )  # fmt: skip
    settings = (
        ("Detection Threshold", "5"), ("Max Jump Mode", "Auto"), ("Max Jump Distance", "14.1277"), ("Blur", "Auto"),
        ("Min Track Length", "Auto"), ("First frame", "0"),
        ("Total frames analysed", str(measurement.videos[0].frames)),
    )  # fmt: skip
    worklist, captured = measurement.worklist, measurement.captured
    return [
        "NTA Experiment Summary File,",
        f"Created with {SOFTWARE},",
        ",",
        "[Experiment Details],,",
        f"Software Version,{SOFTWARE},",
        f"Experiment Name,{worklist.sample} {captured:%Y-%m-%d %H-%M-%S}.nano,",
        "Operator Name,worklist,",
        f"Time Captured,{captured:%H:%M:%S  %d/%m/%Y},",
        f"Sample Description,{worklist.sample},",
        "Pre-treatment,,",
        "Diluent,PBS,",
        f"Remarks,{worklist.kind},",
        ",,",
        "," * (n + 1),
        _line("Filename:", names),
        _line("Processed", ["Yes"] * n),
        "",
        "[Conditions]" + "," * (n + 1),
        *(_line(label, [value] * n) for label, value in conditions),
        "," * (n + 1),
        "[Settings]" + "," * (n + 1),
        *(_line(label, [value] * n) for label, value in settings),
        "," * (n + 1),
        "[Exclusion Regions]",
        "No Exclusion Regions Used" + "," * (n + 1),
        "",
    ]


def _results(measurement: Measurement, videos: Sequence[_Figures]) -> list[str]:
    n = len(videos)
    dilution = "Not recorded" if measurement.recorded_dilution is None else f"{measurement.recorded_dilution:.2e}"
    concentrations = [v.concentration for v in videos]
    per_frame = [v.video.particles_per_frame for v in videos]
    centres = [1.1 * one for one in per_frame]
    return [
        _line("[Results]", [""] * n, "Average", "Standard Error"),
        _line("Dilution factor (concentrations adjusted for this factor)", [dilution] * n, "", ""),
        _line(
            "Concentration (Particles / ml)", [f"{c:.2e}" for c in concentrations], *_averages(concentrations, ".2e")
        ),
        _line("Concentration Upgrade?", ["Yes"] * n, "", ""),
        _line("Particles per frame", [f"{one:.1f}" for one in per_frame], *_averages(per_frame, ".1f")),
        _line("Centres per frame", [f"{one:.1f}" for one in centres], *_averages(centres, ".1f")),
        _line("Completed tracks", [str(v.video.completed_tracks) for v in videos], "", ""),
        _line("X-Drift (pix/frame)", [f"{v.video.drift_x:.1f}" for v in videos], "", ""),
        _line("Y-Drift (pix/frame)", ["0.0"] * n, "", ""),
        "," * (n + 3),
    ]


def _opinions(videos: Sequence[_Figures]) -> list[str]:
    """What the instrument thinks of each video."""

    def row(label: str, word: Callable[[Video], str]) -> str:
        return _line(label, [word(v.video) for v in videos])

    fine = [(label, "OK") for label in ("Brightness", "Detection Threshold", "Camera Histogram Lower Limit")]
    return [
        "[Concentration Warnings]",
        row("Validity of concentration measurement", _validity),
        row("Completed Tracks", lambda v: "OK" if v.completed_tracks else "No Data"),
        row("Particles per frame", lambda v: "Too Low" if v.particles_per_frame < TOO_LOW else "OK"),
        row("Noise level", _noise),
        *(row(label, lambda _, word=word: word) for label, word in fine),  # type: ignore[misc]
        "",
        "[Information]",
        row("Completed Tracks", _tracks),
        row("Concentration", _how_much),
        row("Video length", lambda _: "OK"),
        row("Noise level", _noise),
        row("Vibration detected", lambda _: "No"),
        row("Vibration correction applied", lambda _: "No"),
        row("Settings changed?", lambda _: "No"),
        row("Errors (1)", lambda _: ""),
        row("Errors (2)", lambda _: ""),
        "",
    ]


def _validity(video: Video) -> str:
    if video.particles_per_frame < TOO_LOW:
        return "Unreliable"
    return "Be cautious of data due to noise" if video.particles_per_frame > NOISY else "OK"


def _noise(video: Video) -> str:
    return "High noise" if video.particles_per_frame > NOISY else "No"


def _tracks(video: Video) -> str:
    return next((f"<{limit}" for limit in FEW_TRACKS if video.completed_tracks < limit), "OK")


def _how_much(video: Video) -> str:
    if video.particles_per_frame < TOO_LOW:
        return "Very low concentration"
    return "Low concentration" if video.particles_per_frame < LOW else "OK"


def _graph(videos: Sequence[_Figures]) -> list[str]:
    table = np.stack([v.bins for v in videos], axis=1)
    n = len(videos)
    error = table.std(axis=1, ddof=1) / math.sqrt(n) if n > 1 else np.zeros(BINS)
    columns = np.column_stack((table, table.mean(axis=1), error))
    return [
        f"{size:g}," + ",".join(f"{value:.0f}" for value in row) + ","
        for size, row in zip(CENTRES.tolist(), columns.tolist(), strict=True)
    ]


def _averages(values: Sequence[float], form: str) -> tuple[str, str]:
    """Average over the videos and its standard error, as written."""
    n = len(values)
    error = float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    return format(float(np.mean(values)), form), format(error, form)


def _line(label: str, cells: Sequence[str], *more: str) -> str:
    return ",".join((label, *cells, *more)) + ","
