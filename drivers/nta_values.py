"""The values of an NTA counter: their names, their units, and what is read for each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from drivers.nta_ledger import KINDS
from drivers.nta_watch import Result, Seen
from evcontrol.quality import BAD_CONFIGURATION, BAD_WAITING_FOR_INITIAL, GOOD, UNCERTAIN_SENSOR_NOT_ACCURATE

Value = float | str | None
Reading = tuple[Value, int]
"""Value (None when there is none), and quality."""


class NtaField(StrEnum):
    """What a counter tells, and what of a request is written."""

    SAMPLE_NO = "sample_no"
    KIND = "kind"
    DILUTION = "dilution"
    VIDEOS = "videos"
    REQUEST = "request"
    STATE = "state"
    RESULT_NO = "result_no"
    RESULT_REQUEST = "result_request"
    FILE = "file"
    SHA256 = "sha256"
    SOFTWARE = "software"
    CAPTURED_AT = "captured_at"
    CONC_MEASURED = "conc_measured"
    CONC_STOCK = "conc_stock"
    DILUTION_RECORDED = "dilution_recorded"
    CV = "cv"
    MEAN = "mean"
    MODE = "mode"
    SD = "sd"
    D10 = "d10"
    D50 = "d50"
    D90 = "d90"
    FRACTION_200 = "fraction_200"
    TRACKS = "tracks"
    REPLICATES = "replicates"
    WARNINGS = "warnings"
    CHECKS = "checks"
    QUARANTINED = "quarantined"
    TROUBLE = "trouble"


WRITABLE: Final[Mapping[NtaField, tuple[float, float, bool]]] = {
    NtaField.SAMPLE_NO: (1, 999_999_999, True),
    NtaField.KIND: (1, len(KINDS) - 1, True),
    NtaField.DILUTION: (1, 1e9, False),
    NtaField.VIDEOS: (1, 10, True),
    NtaField.REQUEST: (1, 999_999_999, True),
}
"""The values of a request: lowest, highest, and whether it is a whole number."""

SAME_DILUTION: Final = 0.01
"""By how much two dilutions may differ as a share: summaries of NanoSight write three digits."""
_DILUTED: Final = frozenset({NtaField.CONC_STOCK, NtaField.DILUTION_RECORDED})
_PER_ML: Final = frozenset({NtaField.CONC_MEASURED, NtaField.CONC_STOCK})
_NM: Final = frozenset({NtaField.MEAN, NtaField.MODE, NtaField.SD, NtaField.D10, NtaField.D50, NtaField.D90})
_TEXTS: Final = frozenset({
    NtaField.FILE, NtaField.SHA256, NtaField.SOFTWARE, NtaField.CAPTURED_AT, NtaField.WARNINGS, NtaField.CHECKS,
    NtaField.TROUBLE,
})  # fmt: skip


def unit_of(field: NtaField) -> tuple[str, bool]:
    """The unit in which a value is read, and whether it is a text."""
    unit = "particle/mL" if field in _PER_ML else "nm" if field in _NM else ""
    return unit, field in _TEXTS


def readings_of(seen: Seen, of_result: Mapping[NtaField, Reading]) -> dict[NtaField, Reading]:
    """Every value with its quality, those of the result as :func:`readings_of_result` has them.

    Before the first request and the first result their numbers are 0, and Good.
    """
    request, result = seen.request, seen.result
    found: dict[NtaField, Value] = {
        NtaField.SAMPLE_NO: float(request.sample_no if request else 0),
        NtaField.KIND: float(request.kind if request else 0),
        NtaField.DILUTION: request.dilution if request else 0.0,
        NtaField.VIDEOS: float(request.videos if request else 0),
        NtaField.REQUEST: float(request.request if request else 0),
        NtaField.STATE: float(seen.state),
        NtaField.RESULT_NO: float(result.sample_no if result else 0),
        NtaField.RESULT_REQUEST: float(result.request if result else 0),
        NtaField.QUARANTINED: float(seen.quarantined),
        NtaField.TROUBLE: seen.trouble,
    }
    nothing: dict[NtaField, Reading] = dict.fromkeys(NtaField, (None, BAD_WAITING_FOR_INITIAL))
    return nothing | dict(of_result) | {field: (value, GOOD) for field, value in found.items()}


def readings_of_result(result: Result | None) -> dict[NtaField, Reading]:
    """The values of one export. What it does not hold is Bad.

    Uncertain is a concentration that the instrument doubts, and what comes of another dilution than the one asked for.
    """
    if result is None:
        return {}
    export, sizes = result.export, result.export.sizes
    other = _other_dilution(result)
    failed = [f"{check.name}: {check.words}" for check in export.checks if not check.passed]
    values: dict[NtaField, Value] = {
        NtaField.FILE: result.file,
        NtaField.SHA256: result.sha256,
        NtaField.SOFTWARE: f"{export.instrument} {export.software}",
        NtaField.CAPTURED_AT: export.captured_at,
        NtaField.CONC_MEASURED: export.concentration_measured,
        NtaField.CONC_STOCK: export.concentration_stock,
        NtaField.DILUTION_RECORDED: export.dilution,
        NtaField.CV: export.cv,
        NtaField.MEAN: sizes.mean,
        NtaField.MODE: sizes.mode,
        NtaField.SD: sizes.sd,
        NtaField.D10: sizes.d10,
        NtaField.D50: sizes.d50,
        NtaField.D90: sizes.d90,
        NtaField.FRACTION_200: export.fraction_below_200,
        NtaField.TRACKS: float(export.tracks),
        NtaField.REPLICATES: float(len(export.valid_replicates)),
        NtaField.WARNINGS: "; ".join(export.warnings),
        NtaField.CHECKS: "; ".join([*failed, *([other] if other else [])]),
    }
    doubted = frozenset() if export.trusted else _PER_ML
    if other:
        doubted |= _DILUTED
    return {
        field: (
            value,
            BAD_CONFIGURATION if value is None else UNCERTAIN_SENSOR_NOT_ACCURATE if field in doubted else GOOD,
        )
        for field, value in values.items()
    }


def _other_dilution(result: Result) -> str:
    """In words that the export records another dilution than the one asked for; empty when it does not."""
    asked, recorded = result.dilution_asked, result.export.dilution
    if asked is None or recorded is None or abs(recorded - asked) <= SAME_DILUTION * asked:
        return ""
    return f"dilution: {recorded:g} is recorded, {asked:g} was asked for"
