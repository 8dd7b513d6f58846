"""Figures that grow old: a tag of the engine's own that was set too long ago is not known any more."""

from __future__ import annotations

from collections.abc import Mapping

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.clock import NS
from evcontrol.quality import GOOD, UNCERTAIN_EXPIRED


class Expiry:
    """Makes what is too old Uncertain, so that no condition takes it for known; a stage of the scan.

    ``limits`` are seconds of process time by tag, ``set_at`` when each tag was last set (process time, UTC ns).
    """

    def __init__(self, image: ProcessImage, limits: Mapping[str, float], set_at: Mapping[str, int]) -> None:
        self._image = image
        self._limits = {tag: round(seconds * NS) for tag, seconds in limits.items()}
        self._set_at = set_at

    def evaluate(self, scan: Scan) -> None:
        """Look at every tag that expires."""
        for tag, limit in self._limits.items():
            value, quality = self._image.reading(tag)
            if quality == GOOD and scan.t - self._set_at.get(tag, scan.t) > limit:
                self._image.set_internal(tag, value, UNCERTAIN_EXPIRED)
