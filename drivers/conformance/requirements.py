"""What a test of the suite asks of a rig; tests that ask for more than a rig can do are skipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from drivers.conformance.rig import Rig, Trouble

T = TypeVar("T", bound=Callable[..., Any])

_TROUBLES: Final = "required_troubles"
_WRITES: Final = "required_writes"


def requires(*troubles: Trouble, writes: bool = False) -> Callable[[T], T]:
    """Mark a test: the rig must be able to make these troubles, and with ``writes`` its device take values.

    A trouble that a test is parametrised with (as ``trouble``) is required besides.
    """

    def mark(test: T) -> T:
        setattr(test, _TROUBLES, frozenset(troubles))
        setattr(test, _WRITES, writes)
        return test

    return mark


def unmet(rig: type[Rig], test: Callable[..., Any], trouble: Trouble | None = None) -> str:
    """Why a test cannot be made with rigs of a type, in words; empty when it can."""
    if getattr(test, _WRITES, False) and rig.writes is Rig.writes:
        return "this device takes no values"
    wanted = getattr(test, _TROUBLES, frozenset()) | ({trouble} - {None})
    missing = sorted(wanted - rig.troubles)
    return f"this rig cannot be {', '.join(missing)}" if missing else ""
