"""A count of particles by nanoparticle tracking (NTA): its concentration, and whether it can be relied on.

The concentration of what was sampled is that of the diluted sample times its dilution. A dilution is never guessed: a
count without one gives no number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from evcontrol.product.evaluation import Evaluation, Input, Source, absent, combine, given
from evcontrol.product.figure import Figure, multiply, relative
from evcontrol.product.uncertainty import NTA_CALIBRATION, NTA_COUNT, NTA_VIDEOS

CONCENTRATION: Final = "particle/mL"
MOST_CV: Final = 0.20
"""Highest CV of the replicate videos of a count."""
LEAST_VIDEOS: Final = 3
LEAST_TRACKS: Final = 1000
"""Least valid tracks over all videos."""
MOST_BLANK: Final = 0.05
"""Highest concentration of a blank as a share of what it is the blank of."""
BEADS, BEADS_NM, MOST_OFF = "beads", 100.0, 0.10
"""Diameter of the beads that the instrument is checked with, and by how much their mode may be off, as a share."""
SPARSE: Final = frozenset({"medium", "diluent", "permeate"})
"""Kinds of samples that ought to hold few particles: neither tracks nor CV are asked of them."""
AGREES: Final = 0.01
"""By how much an export's own corrected concentration may differ from measured times dilution."""


@dataclass(frozen=True, slots=True)
class Count:
    """One count as it was recorded; None is what the export does not give.

    Concentrations in particle/mL, sizes in nm, ``cv`` and ``fraction_below_200`` plain. ``dilution_source`` says who
    gave the dilution, ``instrument`` what counted.
    """

    sample: str
    kind: str
    source: Source
    measured: float | None = None
    dilution: float | None = None
    dilution_source: str = ""
    stock: float | None = None
    container: str = ""
    instrument: str = ""
    cv: float | None = None
    replicates: float | None = None
    tracks: float | None = None
    mean: float | None = None
    mode: float | None = None
    sd: float | None = None
    d10: float | None = None
    d50: float | None = None
    d90: float | None = None
    fraction_below_200: float | None = None
    warnings: str = ""

    @property
    def span(self) -> float | None:
        """(D90 - D10)/D50; None where one of them is not known."""
        if self.d10 is None or self.d50 is None or self.d90 is None or self.d50 <= 0.0:
            return None
        return (self.d90 - self.d10) / self.d50


class Verdict(StrEnum):
    """What a check may find."""

    PASSED = "passes"
    FAILED = "FAILS"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Check:
    """One acceptance check of ``subject``: the value (None when it is not known), its limit in words, the verdict.

    ``unit`` of the value is ``nm``, ``%`` for a share (which is plain), or empty.
    """

    subject: str
    name: str
    value: float | None
    unit: str
    limit: str
    verdict: Verdict


def concentration(count: Count) -> Evaluation:
    """The concentration of what was sampled, in particle/mL; no number without a dilution, or where two disagree."""
    name, subject = f"concentration of {count.kind}", f"sample {count.sample} ({count.kind})"
    if count.measured is None or count.measured < 0.0:
        return absent(name, f"the count of {subject} gives no concentration")
    measured = given(_measured(count))
    if count.dilution is None:
        reason = f"no dilution is recorded for {subject}: it is not guessed"
        return absent(name, reason, inputs=measured.inputs)
    who = "by the export" if count.dilution_source == "export" else "entered by a person"
    dilution = Input(f"dilution of {subject}", Figure(count.dilution), _from(count, f"dilution, {who}"))
    if count.dilution < 1.0:
        reason = f"the dilution of {subject} is {count.dilution:g}: a dilution is 1 or more"
        return absent(name, reason, inputs=(*measured.inputs, dilution))
    diluted = count.measured * count.dilution
    if count.stock is not None and not math.isclose(count.stock, diluted, rel_tol=AGREES):
        reason = (
            f"the export gives {count.stock:.4g} {CONCENTRATION} for {subject}, but measured times dilution is "
            f"{diluted:.4g}"
        )
        return absent(name, reason, inputs=(*measured.inputs, dilution))
    return combine(name, "measured x dilution", [measured, given(dilution)], multiply)


def checks(count: Count) -> list[Check]:
    """The acceptance checks of one count; of a sample that ought to hold few particles, only the number of videos."""
    subject = f"{count.sample} ({count.kind})"
    found = [_least(subject, "valid videos", count.replicates, LEAST_VIDEOS)]
    if count.kind not in SPARSE:
        found.append(_most(subject, "CV of the videos", count.cv, MOST_CV, "at most"))
        found.append(_least(subject, "valid tracks", count.tracks, LEAST_TRACKS))
    if count.kind == BEADS:
        low, high = BEADS_NM * (1.0 - MOST_OFF), BEADS_NM * (1.0 + MOST_OFF)
        within = None if count.mode is None else low <= count.mode <= high
        limit = f"{low:g} to {high:g} nm"
        found.append(Check(subject, "mode of the beads", count.mode, "nm", limit, _verdict(within)))
    return found


def blank_share(blank: Count, of: Count) -> Check:
    """Whether a blank holds little against what it is the blank of.

    Medium is compared as it stands; diluent is in the diluted sample, so the measured concentrations are compared.
    """
    diluent = blank.kind == "diluent"
    top, bottom = (c.measured if diluent else _value(concentration(c)) for c in (blank, of))
    share = None if top is None or not bottom else top / bottom
    subject = f"{blank.sample} ({blank.kind})"
    return _most(subject, f"blank against {of.sample} ({of.kind})", share, MOST_BLANK, "below")


def _measured(count: Count) -> Input:
    """The measured concentration with its three causes of uncertainty."""
    spread = NTA_VIDEOS.cv if count.cv is None else count.cv
    videos = max(1.0, count.replicates or 1.0)
    own = f"count {count.source.event if count.source.event is not None else count.sample}"
    cvs = {
        f"calibration of {count.instrument or f'the counter of {own}'}": NTA_CALIBRATION.cv,
        f"{own}, sample": NTA_COUNT.cv,
        f"{own}, videos": spread / math.sqrt(videos),
    }
    figure = relative(count.measured or 0.0, CONCENTRATION, cvs)
    name = f"concentration measured in sample {count.sample} ({count.kind})"
    return Input(name, figure, _from(count, "count"), count.instrument or own)


def _from(count: Count, what: str) -> Source:
    source = count.source
    return Source(what, source.event, source.t, source.sha256, source.tag)


def _value(evaluation: Evaluation) -> float | None:
    return None if evaluation.figure is None else evaluation.figure.value


def _least(subject: str, name: str, value: float | None, limit: float) -> Check:
    within = None if value is None else value >= limit
    return Check(subject, name, value, "", f"at least {limit:g}", _verdict(within))


def _most(subject: str, name: str, value: float | None, limit: float, word: str) -> Check:
    within = None if value is None else value < limit or (value == limit and word == "at most")
    return Check(subject, name, value, "%", f"{word} {100.0 * limit:g} %", _verdict(within))


def _verdict(within: bool | None) -> Verdict:
    return Verdict.UNKNOWN if within is None else Verdict.PASSED if within else Verdict.FAILED
