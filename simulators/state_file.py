"""The plant's state on disk, so that simulators that were killed come back with their liquids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class StateDamagedError(Exception):
    """A state file that holds no state; one clear line."""


def write_atomically(path: Path, document: Mapping[str, Any]) -> None:
    """Replace a JSON file such that a reader finds the old or the new one, whole; OSError when the disk refuses.

    It is not forced to the disk: the state has to outlive this process, not a failure of the machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(document), encoding="utf-8")
    fresh.replace(path)


def read_state(path: Path) -> dict[str, Any] | None:
    """The state in a file; None when there is no file. StateDamagedError when it holds no JSON object."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    try:
        state = json.loads(text)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise StateDamagedError(f"{path}: not a state of the simulators; move it away to begin with full vessels")
    return state
