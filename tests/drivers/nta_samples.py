"""Where real exports of NTA counters are, which are not part of this repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def samples() -> Path:
    """The folder of real exports: ``EVCONTROL_NTA_SAMPLES``, or beside the checkout."""
    named = os.environ.get("EVCONTROL_NTA_SAMPLES")
    root = Path(__file__).parents[2]
    places = [Path(named)] if named else [root.parent / "shared", root.parent.parent / "shared"]
    return next((p for p in (place if named else place / "nta_samples" for place in places) if p.is_dir()), Path())


REAL = samples()
needs_real = pytest.mark.skipif(
    not REAL.name, reason="no real NTA exports here: set EVCONTROL_NTA_SAMPLES to a folder of them"
)
