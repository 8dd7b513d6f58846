"""The plants and recipes that come with evcontrol."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """A shipped file such as ``plants/tff.yaml``: of the installed package, else of the checkout.

    FileNotFoundError when there is none.
    """
    for root in (_PACKAGE / "_config", _PACKAGE.parent / "config"):
        if (root / name).is_file():
            return root / name
    raise FileNotFoundError(2, "not shipped with this installation", name)
