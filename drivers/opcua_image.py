"""What an OPC UA driver knows of its points over one session: what was reported last, and what has to be asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from drivers.driver import BoundPoint
from drivers.opcua_points import Codec, OpcUaPoint, without_overflow
from drivers.opcua_session import Missing, Node, OpcUaSession, Sample
from evcontrol.quality import BAD_CONFIGURATION, BAD_WAITING_FOR_INITIAL
from evcontrol.signals import TimeArray

SHOWN_MISTAKES: Final = 6
KEPT_GROUPS: Final = 64


@dataclass(slots=True)
class Counts:
    """What a server reported, and what went wrong with it, since the start."""

    samples: int = 0
    """Samples that were reported."""
    overflows: int = 0
    """Samples before which the server had to throw some away, because its queue of the item was full."""
    gaps: int = 0
    """Notifications that were numbered and never came; everything was read anew each time."""

    def losses(self, before: Counts) -> list[str]:
        """What was lost since then, in words that stay the same however much it was."""
        words = []
        if self.overflows > before.overflows:
            words.append("the server's queue was too short and samples were lost: raise queue_size")
        if self.gaps > before.gaps:
            words.append("a report of the server was lost, and everything read anew")
        return words


class Image:
    """The latest reading of every point (a :class:`drivers.opcua_session.Listener`).

    A point is *asked for* rather than taken from what is reported at first, for some time after it was written, after
    a gap, and always when the server does not report it. What is reported of a point while it is asked for is passed
    over: it may be older than the write. When it came after the question it may as well be younger than the answer, and
    is not reported again: then a point that was told two things is asked for once more.
    """

    def __init__(
        self, session: OpcUaSession, bound: Sequence[BoundPoint], nodes: Sequence[Node | Missing], counts: Counts
    ) -> None:
        self.session = session
        self.nodes = [_fitted(node, each) for node, each in zip(nodes, bound, strict=True)]
        self.found = [i for i, (node, _) in enumerate(self.nodes) if isinstance(node, Node)]
        self._codecs = [codec for _, codec in self.nodes]
        self._tags = [each.tag.name for each in bound]
        self._counts = counts
        self.value = np.full(len(bound), math.nan)
        self.quality = np.full(len(bound), BAD_WAITING_FOR_INITIAL, dtype=np.uint32)
        self._source_t = [0] * len(bound)
        for i, (node, _) in enumerate(self.nodes):
            if isinstance(node, Missing):
                self.quality[i] = node.quality
        self._groups: dict[tuple[int, ...], tuple[Node, ...]] = {}
        self.unreported: set[int] = set()
        self._asked_until = dict.fromkeys(self.found, 0.0)
        self._passed_over: dict[int, Sample | None] = {}
        """What was reported last of a point since it was asked for; None when something of it was lost."""

    def mistakes(self) -> str:
        """Which points have no variable that fits them, and why; empty when all have."""
        missing = [
            (tag, node.reason)
            for tag, (node, _) in zip(self._tags, self.nodes, strict=True)
            if isinstance(node, Missing)
        ]
        words = [f"{tag}: {reason}" for tag, reason in missing[:SHOWN_MISTAKES]]
        if len(missing) > SHOWN_MISTAKES:
            words.append(f"and {len(missing) - SHOWN_MISTAKES} more")
        return "; ".join(words)

    def target(self, position: int) -> tuple[Node, Codec]:
        """Node and codec of a point; ValueError, in words, when it has none."""
        node, codec = self.nodes[position]
        if isinstance(node, Missing) or codec is None:
            raise ValueError(node.reason if isinstance(node, Missing) else "")
        return node, codec

    def group(self, positions: tuple[int, ...]) -> tuple[Node, ...]:
        """The nodes of points that are there; the same tuple for the same points."""
        if positions not in self._groups:
            if len(self._groups) >= KEPT_GROUPS:
                self._groups.clear()
            self._groups[positions] = tuple(self.target(position)[0] for position in positions)
        return self._groups[positions]

    # -- a listener ------------------------------------------------------------------------------------------------

    def on_samples(self, samples: Iterable[tuple[int, Sample]]) -> None:
        """Take what is reported, by place in ``found``; of several the last one stays."""
        for place, sample in samples:
            if 0 <= place < len(self.found):
                position = self.found[place]
                status, overflow = without_overflow(sample.status)
                self._counts.samples += 1
                self._counts.overflows += overflow
                if position not in self._asked_until:
                    self._put(position, sample.value, status, sample.source_t)
                else:
                    self._passed_over[position] = Sample(sample.value, status, sample.source_t)

    def on_gap(self) -> None:
        """Ask for everything once: a change that was lost is not reported again."""
        self._counts.gaps += 1
        for position in self.found:
            self._asked_until.setdefault(position, 0.0)
            self._passed_over[position] = None

    # -- asking ----------------------------------------------------------------------------------------------------

    def to_ask(self) -> list[int]:
        """The points that must be asked for now."""
        return sorted(self._asked_until.keys() | self.unreported)

    def ask_until(self, positions: Iterable[int], when: float) -> None:
        """Ask for these until an answer to a question of ``when`` (loop time) or later has come."""
        self._asked_until |= dict.fromkeys(positions, when)

    def asking(self, positions: Iterable[int]) -> None:
        """A question for these begins."""
        for position in positions:
            self._passed_over.pop(position, None)

    def take(self, positions: Sequence[int], samples: Sequence[Sample], asked_at: float) -> None:
        """Take the answers to a question of ``asked_at`` (loop time)."""
        for position, sample in zip(positions, samples, strict=True):
            status = without_overflow(sample.status)[0]
            self._put(position, sample.value, status, sample.source_t)
            over = self._asked_until.get(position, math.inf) <= asked_at
            if over and self._is_all(position, sample.value, status):
                del self._asked_until[position]

    def _is_all(self, position: int, value: object, status: int) -> bool:
        """Whether nothing else than this was reported of a point since it was asked for."""
        if position not in self._passed_over:
            return True
        other = self._passed_over[position]
        return other is not None and (other.value, other.status) == (value, status)

    def source_t(self, otherwise: int) -> TimeArray:
        """The devices' time stamps, UTC ns; ``otherwise`` where there is none."""
        return np.array([t or otherwise for t in self._source_t], dtype=np.int64)

    def lost(self) -> bool:
        """Whether the session has gone, also when nobody has noticed yet."""
        return self.session.lost.done()

    def _put(self, position: int, value: object, status: int, source_t: int | None) -> None:
        codec = self._codecs[position]
        if codec is not None:
            self.value[position], self.quality[position] = codec.decode(value, status)
            self._source_t[position] = source_t or 0


def _fitted(node: Node | Missing, bound: BoundPoint) -> tuple[Node | Missing, Codec | None]:
    if isinstance(node, Missing):
        return node, None
    assert isinstance(bound.point, OpcUaPoint)  # noqa: S101  (the driver has checked)
    try:
        return node, Codec.of(node.type, bound.point, bound.tag, bound.code_of)
    except ValueError as misfit:
        return Missing(str(misfit), BAD_CONFIGURATION), None
