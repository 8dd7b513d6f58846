"""Experiment summaries for tests: made of the simulated counter's, and changed into the layouts of other versions."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from datetime import datetime

import numpy as np

from simulators.devices.nta_counter import Measurement, Worklist
from simulators.devices.nta_size_file import size_file, table_of_positions
from simulators.devices.nta_summary import experiment_summary
from simulators.process.nta import SampleProperties, Video, drifts, record


def measurement(
    videos: int = 3,
    particles_per_ml: float = 5e8,
    dilution: float | None = 1000.0,
    sample: str = "S-000042",
    seed: int = 1,
) -> Measurement:
    random = np.random.default_rng(seed)
    properties = SampleProperties(particles_per_ml)
    shown = tuple(record(properties, 1.0, drift, 60.0, random) for drift in drifts(videos, random))
    worklist = Worklist(7, sample, "pool", dilution or 1.0, videos)
    captured = datetime(2026, 9, 24, 15, 35, 56)  # noqa: DTZ001  (an instrument's clock has no zone)
    return Measurement(worklist, captured, shown, dilution)


def failed(shown: Measurement, place: int = 0) -> Measurement:
    """One of its videos with nothing in it; its frames are set by :func:`summary`."""
    nothing = Video(1498, 0.0, 0, 0, 0.0, np.zeros(1000))
    videos = [nothing if i == place else video for i, video in enumerate(shown.videos)]
    return replace(shown, videos=tuple(videos))


def summary(shown: Measurement | None = None) -> str:
    return experiment_summary(shown or measurement())


def sizes(shown: Measurement | None = None) -> str:
    """A size file of ZetaView 8.06."""
    return size_file(shown or measurement())


def positions(shown: Measurement | None = None) -> str:
    """The table of its positions."""
    return table_of_positions(shown or measurement())


def as_805(text: str) -> str:
    """A size file as ZetaView 8.05 wrote it on a computer with decimal commas: CR LF, and fewer entries."""
    text = text.replace("8.06.01 SP1", "8.05.16 SP3").replace("Conductivity: ", "Conductivity:\t")
    text = re.sub(r"^(Positions|Concentration Correction Factor):.*\n", "", text, flags=re.MULTILINE)
    lines = [re.sub(r"(\d)\.(\d)", r"\1,\2", line) if "ZetaView" not in line else line for line in text.split("\n")]
    return "\r\n".join(lines)


def as_32(text: str) -> str:
    """As NTA 3.2 wrote it: no ``Processed``, quoted names, three-digit exponents, a leading space, other ends."""
    text = text.replace("NTA 3.4 Build 3.4.003", "NTA 3.2 Dev Build 3.2.16")
    text = re.sub(r"^Processed,.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^Sample Description,(.*),$", r'Sample Name,"\1"', text, flags=re.MULTILINE)
    text = text.replace("Bin centre (nm),Conc", "Bin centre (nm), Conc")
    text = re.sub(r"(\d\.\d\de[+-])(\d\d)\b", r"\g<1>0\2", text)
    return re.sub(r"^,+$", "", text, flags=re.MULTILINE)


def as_33(text: str) -> str:
    """As NTA 3.3 wrote it: no ``Processed``."""
    text = text.replace("NTA 3.4 Build 3.4.003", "NTA 3.3 - Sample Assistant Dev Build 3.3.203")
    return re.sub(r"^Processed,.*\n", "", text, flags=re.MULTILINE)


def with_other_weightings(text: str) -> str:
    """With the distributions by surface and of diffusion coefficients besides, whose units are not ASCII."""
    block = text[text.index("Weighting,Number") :]
    other = block.replace("Weighting,Number", "Weighting,Surface Area")
    other = other.replace("Concentration (particles / ml)", "Surface area conc. (nm\xb2 / ml)")
    diffusion = f"[Diffusion Coefficient Data],,\nAnalysis Method,FTLA,\n{block}"
    line = "Size distribution - Number weighting - With Percentiles,\n"
    named = line + line.replace("Number", "Surface area") + line.replace("Size", "Diffusion")
    return text.replace(line, named) + other + diffusion


def as_excel(text: str) -> str:
    """As a spreadsheet program saves it again: CR LF, lines of one length, plain numbers."""
    rows = [line.split(",") for line in text.rstrip("\n").split("\n")]
    width = max(len(row) for row in rows)
    lines = [",".join(_plain(cell) for cell in row) + "," * (width - len(row)) for row in rows]
    return "\r\n".join(lines) + "\r\n"


def _plain(cell: str) -> str:
    if _is_number(cell):
        return f"{float(cell):.10g}" if abs(float(cell)) < 1e9 else f"{float(cell):.0f}"
    return cell


def as_german_excel(text: str) -> str:
    """The same in a country with decimal commas: cells parted by semicolons."""
    rows = [next(csv.reader([line]), []) for line in text.rstrip("\n").split("\n")]
    width = max(len(row) for row in rows)
    lines = [";".join(_plain(cell).replace(".", ",") if _is_number(cell) else cell for cell in row) for row in rows]
    return "\r\n".join(line + ";" * (width - len(row)) for line, row in zip(lines, rows, strict=True)) + "\r\n"


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?", cell) is not None
