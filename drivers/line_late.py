"""Answers that come late: a port on which a request went unanswered is not used again until they must have come.

A new connection does not help against them, since an instrument that is slow answers into the new one: its late answer
to our last hand-shake would be taken for the answer to the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from drivers.connection import LinkLostError
from drivers.serial_options import SerialOptions

TIMES: Final = 3.0
"""Time-outs after a request within which its answer is still expected to come."""
MOST_S: Final = 2.0
"""How much longer (real s) than the time-out at the most, so that a link is back soon."""

_until: Final[dict[str, float]] = {}
"""By port, the time (that of the event loop) until which an answer may still come."""


@contextmanager
def answered(options: SerialOptions) -> Iterator[None]:
    """A request that is sent now; when it is given up (for silence, or for what is unreadable), the port knows."""
    sent = asyncio.get_running_loop().time()
    try:
        yield
    except LinkLostError as error:
        if type(error) is not LinkLostError:
            _expect(options, sent)
        raise
    except asyncio.CancelledError:
        _expect(options, sent)
        raise


async def none_to_come(options: SerialOptions) -> None:
    """Return when no late answer is expected on the port any more; LinkLostError when that takes too long to wait."""
    left = _until.get(options.port, 0.0) - asyncio.get_running_loop().time()
    if left <= 0:
        return
    patience = options.timeout_s / 2
    await asyncio.sleep(min(left, patience))
    if left > patience:
        raise LinkLostError("the answer to the last request may still come")


def _expect(options: SerialOptions, sent: float) -> None:
    _until[options.port] = sent + min(TIMES * options.timeout_s, options.timeout_s + MOST_S)
