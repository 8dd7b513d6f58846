"""The simulated NTA counter: a queue of worklists, one sample in the cell, videos. No input or output, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from simulators.process.nta import SampleProperties, Video, drifts, record

VIDEO_S: Final = 60.0
PREPARE_S: Final = 60.0
"""Loading and flushing the cell."""
KINDS: Final = ("beads", "diluent", "medium", "pool", "clarified", "concentrate", "permeate", "product")
"""What a worklist may name."""


@dataclass(frozen=True, slots=True)
class Worklist:
    """What is asked for: one sample, how far it was diluted, and how many videos."""

    request: int
    sample: str
    kind: str
    dilution: float
    videos: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """A finished one, from which the export is written. ``recorded_dilution`` is None when nobody entered it."""

    worklist: Worklist
    captured: datetime
    videos: tuple[Video, ...]
    recorded_dilution: float | None


class NtaCounter:
    """One counter. ``sample_of`` tells what a kind of sample holds when it is put into the cell.

    ``began`` is what its clock showed when it was new. Noise depends on ``seed`` and the request only, so that a
    measurement begun again gives the same.
    """

    def __init__(
        self,
        sample_of: Callable[[str], SampleProperties],
        seed: str = "",
        began: datetime = datetime(2026, 1, 5, 8, 0),  # noqa: DTZ001  (an instrument's clock has no zone)
    ) -> None:
        self.records_dilution = True
        """Whether the dilution of the worklist is entered; as a person may forget to."""
        self.time_s = 0.0
        self._sample_of = sample_of
        self._seed = seed
        self._began = began
        self._queue: deque[Worklist] = deque()
        self._current: tuple[Worklist, SampleProperties] | None = None
        self._elapsed_s = 0.0
        self._finished: deque[tuple[Worklist, SampleProperties, float, bool]] = deque()

    def submit(self, worklist: Worklist) -> None:
        """Put a worklist at the end of the queue."""
        self._queue.append(worklist)

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass; several measurements may end in one step."""
        left = dt_s
        while left > 0.0:
            self._load()
            if self._current is None:
                break
            worklist, sample = self._current
            needed = PREPARE_S + VIDEO_S * worklist.videos - self._elapsed_s
            if left < needed:
                self._elapsed_s += left
                break
            left -= needed
            self._current = None
            ended_s = self.time_s + dt_s - left
            self._finished.append((worklist, sample, ended_s, self.records_dilution))
        self._load()
        self.time_s += dt_s

    @property
    def measuring(self) -> int:
        """The request whose sample is in the cell; 0 when it is empty."""
        return self._current[0].request if self._current else 0

    @property
    def known(self) -> set[int]:
        """The requests that wait, are measured, or whose export is not written."""
        waiting = {one.request for one in self._queue} | {one[0].request for one in self._finished}
        return waiting | ({self.measuring} - {0})

    def finished(self) -> Measurement | None:
        """The oldest measurement whose export is not written; None when there is none."""
        if not self._finished:
            return None
        worklist, sample, ended_s, recorded = self._finished[0]
        random = np.random.default_rng([*f"{self._seed}/{worklist.request}".encode()])
        videos = tuple(
            record(sample, worklist.dilution, drift, VIDEO_S, random) for drift in drifts(worklist.videos, random)
        )
        began_s = ended_s - VIDEO_S * worklist.videos
        captured = (self._began + timedelta(seconds=began_s)).replace(microsecond=0)
        return Measurement(worklist, captured, videos, worklist.dilution if recorded else None)

    def written(self) -> Worklist:
        """The export of the oldest measurement is written; returns its worklist. IndexError when there is none."""
        return self._finished.popleft()[0]

    def state(self) -> dict[str, Any]:
        """What its computer keeps: worklists, what is in the cell, and measurements without an export."""
        current = self._current
        return {
            "time_s": self.time_s,
            "records_dilution": self.records_dilution,
            "queue": [asdict(one) for one in self._queue],
            "current": [asdict(current[0]), asdict(current[1])] if current else None,
            "elapsed_s": self._elapsed_s,
            "finished": [[asdict(a), asdict(b), ended_s, recorded] for a, b, ended_s, recorded in self._finished],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put such a state back. Raises KeyError, TypeError or ValueError for one of another shape."""
        self.time_s, self.records_dilution = float(state["time_s"]), bool(state["records_dilution"])
        self._queue = deque(Worklist(**one) for one in state["queue"])
        current = state["current"]
        self._current = (Worklist(**current[0]), SampleProperties(**current[1])) if current else None
        self._elapsed_s = float(state["elapsed_s"])
        self._finished = deque(
            (Worklist(**a), SampleProperties(**b), float(ended_s), bool(recorded))
            for a, b, ended_s, recorded in state["finished"]
        )

    def _load(self) -> None:
        """Put the next sample into the empty cell."""
        if self._current is None and self._queue:
            worklist = self._queue.popleft()
            self._current = worklist, self._sample_of(worklist.kind)
            self._elapsed_s = 0.0
