"""Export files of nanoparticle-tracking (NTA) instruments: which kind a file is, and what it says.

Read: experiment summaries of NanoSight NTA 3.2 to 3.4. Everything else is refused by its name, with what to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from drivers.nta_nanosight import TITLE, parse_nanosight
from drivers.nta_result import Check, NtaExport, NtaFileError, Replicate, Sizes

__all__ = ["MAX_BYTES", "Check", "NtaExport", "NtaFileError", "Replicate", "Sizes", "parse_export", "read_export"]

MAX_BYTES: Final = 20_000_000
SUMMARY: Final = "export an experiment summary (*-ExperimentSummary.csv) instead"
ONLY_NANOSIGHT: Final = "only NanoSight experiment summaries are"


def read_export(path: Path) -> NtaExport:
    """Read a file; NtaFileError when it is no usable export, OSError when it cannot be read."""
    if path.stat().st_size > MAX_BYTES:
        raise NtaFileError(path.name, 0, f"larger than {MAX_BYTES // 1_000_000} MB, no export is", SUMMARY)
    return parse_export(path.read_bytes(), path.name)


def parse_export(data: bytes, file: str) -> NtaExport:
    """Read what a file of that name holds; NtaFileError when it is no usable export."""
    text = data.decode("utf-8-sig", "replace") if data.startswith(b"\xef\xbb\xbf") else data.decode("latin-1")
    first, line_end, _ = text.replace("\r", "\n").partition("\n")
    title = first.split(",")[0].strip().strip('"').strip()
    if title == TITLE:
        return parse_nanosight(text, file)
    if not line_end and TITLE.startswith(first):
        problem = "empty" if not data else "only its beginning is there"
        raise NtaFileError(file, 1, problem, "wait until it is written, or export it again", incomplete=True)
    raise NtaFileError(file, 1, *_refusal(text, first))


def _refusal(text: str, first: str) -> tuple[str, str]:
    """What another file is, and what to do."""
    head = text[:20_000]
    kinds = (
        ("ZetaView" in head, _zetaview(first), ONLY_NANOSIGHT),
        (first.startswith("Use\tPosition"), "a ZetaView table of positions, which is not read yet", ONLY_NANOSIGHT),
        ("\0" in head, "not a text in ISO 8859-1 or UTF-8", "export it again, and save it as CSV"),
        (
            first.startswith((f"{TITLE};", f"{TITLE}\t")),
            "an experiment summary that was saved with other separators than commas",
            "take the file as it was exported",
        ),
        (
            first.startswith("0.5,"),
            "an experiment summary without its header: dilution and settings are not known",
            SUMMARY,
        ),
        ("Particle ID" in first, "a list of particles or tracks, not a summary", SUMMARY),
    )
    found = next(((words, remedy) for is_it, words, remedy in kinds if is_it), None)
    return found or ("not an export of an NTA instrument that is known here", SUMMARY)


def _zetaview(first: str) -> str:
    if "Profile Voltage" in first or "_prof_" in first:
        return "a ZetaView zeta profile: it has no sizes"
    return "a ZetaView size measurement, which is not read yet"
