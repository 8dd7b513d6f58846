"""What is known of the forwarding of readings: state, reason, what waits, how fast it goes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

from evcontrol.clock import NS

FINISH = "finish"
"""What the engine says to the worker when it is to send the rest and end."""


class ForwardState(StrEnum):
    """How the forwarding stands."""

    OFF = "off"
    """Not configured."""
    STARTING = "starting"
    FORWARDING = "forwarding"
    WAITING = "waiting"
    """The server is away, hung or busy; it is tried again by itself."""
    REFUSED = "refused"
    """The server will not have it until a person changes something: token, bucket, address."""
    STOPPED = "stopped"
    """The worker has ended; it is started again."""


@dataclass(frozen=True, slots=True)
class ForwardStatus:
    """One report.

    ``oldest`` is the wall time (UTC ns) of the oldest reading that the server has not acknowledged, None when there is
    none; ``rate`` in lines per real second; ``errors`` counts attempts of this worker that failed, ``quarantined`` all
    that the server calls wrong.
    """

    state: ForwardState
    reason: str = ""
    oldest: int | None = None
    lines: int = 0
    rate: float = 0.0
    quarantined: int = 0
    errors: int = 0

    def lag_s(self, wall: int) -> float:
        """Age in real seconds, at a wall time (UTC ns), of the oldest reading that the server does not have."""
        return 0.0 if self.oldest is None else max(0.0, (wall - self.oldest) / NS)

    def to_json(self) -> str:
        """The report as one line."""
        return json.dumps(asdict(self), ensure_ascii=True)

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """The report in a line; ValueError when there is none."""
        try:
            fields = json.loads(line)
            return cls(**{**fields, "state": ForwardState(fields["state"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a report: {error}") from None
