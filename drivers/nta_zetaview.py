"""Size files of ZetaView 8.05 and 8.06 (``*_size_488.txt``).

One file is one measurement: the tracks of all positions in the cell that were used, together. Its concentration is that
in the cell, whatever the dilution. Mean, mode and SD are worked out from the linear table weighted by number, since the
file has none; D50 is the file's own, D10 and D90 are counted as the file counts its D50.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from drivers.nta_acceptance import good_enough
from drivers.nta_bins import percentile, sizes_of
from drivers.nta_result import NtaExport, Replicate, Sizes
from drivers.nta_zetaview_checks import HALF_BIN_NM, Told, check, middles
from drivers.nta_zetaview_text import EXPORT_AGAIN, WHEN_WRITTEN, SizeFile, read_header, read_tables

BEGIN: Final = "Original File:"
INSTRUMENT: Final = "ZetaView"
VERSIONS: Final = ("8.05", "8.06")
PARTICLES_PER_FRAME: Final = (50.0, 200.0)
SIZES: Final = "Size Distribution"
PROFILE: Final = "Profile"
_KIND: Final = "Type of Measurement"
_TRACES: Final = "Number of Traces"
_AVERAGE: Final = "Average Number of Particles"
_DILUTION: Final = "Dilution"
_FACTOR: Final = "Concentration Correction Factor"
_FILTER: Final = "Filter Wavelength nm"
_NEVER: Final = "1904-01-01"
"""What the instrument writes for a time that never was."""
_FINE: Final = frozenset({"", "Good", "Very Good", "OK"})
_VERSION: Final = re.compile(r"ZetaView \(version ((\d+\.\d+)[^)]*)\)")


def parse_zetaview(text: str, file: str) -> NtaExport:
    """Read a size file; NtaFileError when it is none, is empty, is not complete, or lacks what a count needs."""
    found = read_header(text, file)
    if _KIND not in found.header and not found.has_table:
        found.refuse(0, "only its beginning is there", WHEN_WRITTEN, incomplete=True)
    software = _software(found)
    _require_sizes(found)
    read_tables(found)
    if not found.linear:
        detected = found.text("Detected Particles") or "no"
        problem = f"an empty measurement: {found.text(_TRACES) or 'no'} traces ({detected} particles detected)"
        found.refuse(0, problem, "measure the sample again")
    replicate, sizes = _measured(found)
    dilution, centres = _dilution(found), middles(found.linear)
    concentration = replicate.concentration or 0.0
    warnings, trusted = _warnings(found)
    told = Told(
        found.number(_TRACES), sizes.d50, found.number("Median Concentration (D50)"),
        found.number("Median Volume (D50)"),
    )  # fmt: skip
    return NtaExport(
        instrument=INSTRUMENT,
        software=software,
        sample=found.text("Sample"),
        captured_at=_iso_time(found.text("Date"), found.text("Time")),
        replicates=(replicate,),
        dilution=dilution,
        concentration_measured=concentration,
        concentration_stock=None if dilution is None else concentration * dilution,
        sizes=sizes,
        file_concentration=None,
        file_sizes=None,
        bin_centres=centres,
        distribution=replicate.bins,
        warnings=warnings,
        checks=(
            *check(found.linear, found.logarithmic, told),
            *good_enough([replicate], PARTICLES_PER_FRAME, "replicate"),
        ),
        trusted=trusted,
    )


def what_else(text: str) -> str | None:
    """What a file of a ZetaView is when it is no size measurement, in words; None for one that is, or may become one.

    Told by its header alone, so that a profile is known whatever its end is.
    """
    head = text[:4000]
    if head.startswith("Use\tPosition"):
        return "a ZetaView table of positions: it has neither sample nor distribution"
    if "\tProfile Voltage:" in head.split("\n", 1)[0] or re.search(rf"^{_KIND}:\t{PROFILE}\r?$", head, re.MULTILINE):
        return "a ZetaView zeta profile: it has no sizes"
    return None


def _software(found: SizeFile) -> str:
    """The version that measured, and that which analysed if it is another."""
    told, analysed = found.text("Software"), found.text("Analyze")
    named = _VERSION.fullmatch(told)
    known = " or ".join(VERSIONS)
    if named is None or named[2] not in VERSIONS or not (analysed or named[1]).startswith(VERSIONS):
        line = found.header["Software"].line if "Software" in found.header else 0
        problem = f'"{f"{told} {analysed}".strip()[:60]}" is not a version that is known here'
        found.refuse(line, problem, f"export it with ZetaView {known}")
    return named[1] if analysed in ("", named[1]) else f"{named[1]}, analysed with {analysed}"


def _require_sizes(found: SizeFile) -> None:
    kind = found.text(_KIND)
    if kind != SIZES:
        line = found.header[_KIND].line if _KIND in found.header else 0
        found.refuse(line, f'the type of measurement is "{kind[:40]}", not "{SIZES}"', "export a size measurement")


def _measured(found: SizeFile) -> tuple[Replicate, Sizes]:
    """The one measurement of a file, and its sizes."""
    centres = middles(found.linear)
    numbers = [row.number for row in found.linear]
    counted = sizes_of(centres, numbers, -HALF_BIN_NM)
    median = found.number("Median Number (D50)")
    d10, d90 = (percentile(centres, numbers, share) - HALF_BIN_NM for share in (0.1, 0.9))
    sizes = Sizes(counted.mean, counted.mode, counted.sd, max(0.0, d10), median, d90)
    traces = found.number(_TRACES)
    if traces != int(traces):
        found.refuse(found.header[_TRACES].line, f"{_TRACES}: not a whole number", EXPORT_AGAIN)
    bins = tuple(row.concentration for row in found.linear)
    replicate = Replicate(
        name=found.text("Experiment") or found.file,
        valid=True,
        reason="",
        concentration=sum(bins),
        sizes=sizes,
        tracks=int(traces),
        completed_tracks=int(traces),
        particles_per_frame=found.number(_AVERAGE),
        bins=bins,
    )
    return replicate, sizes


def _dilution(found: SizeFile) -> float | None:
    """How many times the sample was diluted, as somebody entered it; None when nothing is there."""
    if found.text(_DILUTION) in ("", "NaN"):
        return None
    value = found.number(_DILUTION)
    if value < 1.0:
        line = found.header[_DILUTION].line
        found.refuse(line, f"a dilution of {value:g}", "enter it as a factor of 1 or more, and export again")
    return value


def _warnings(found: SizeFile) -> tuple[tuple[str, ...], bool]:
    """What the instrument warns of, and whether its concentration is one of all particles as it stands."""
    told = []
    cell, drift = found.text("Cell Check Result"), found.text("Particle Drift Check Result")
    if cell not in _FINE:
        told.append(f"Cell Check Result: {cell}")
    if drift not in _FINE:
        never = found.text("Particle Drift Checked").startswith(_NEVER)
        told.append(f"Particle Drift Check Result: {drift}{' (it was never checked)' if never else ''}")
    light, factor = found.text(_FILTER), found.text(_FACTOR)
    fluorescent = light not in ("", "Scatter")
    if fluorescent:
        told.append(f"{_FILTER}: {light} (only particles that fluoresce are counted)")
    corrected = bool(factor) and found.number(_FACTOR) != 1.0
    if corrected:
        told.append(f"{_FACTOR}: {factor} (the file does not say whether its concentrations have it)")
    return tuple(told), not (fluorescent or corrected)


def _iso_time(date: str, time: str) -> str | None:
    """Date and time as ISO 8601; anything else as it stands, None for nothing or a time that never was."""
    told = f"{date} {time}".strip()
    if not told or date == _NEVER:
        return None
    try:
        return datetime.strptime(told, "%Y-%m-%d %H:%M:%S").isoformat()  # noqa: DTZ007  (the instrument's own)
    except ValueError:
        return told
