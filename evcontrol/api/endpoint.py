"""Where a running engine listens and the token of this run: ``run/endpoint.json`` and ``run/token``.

Whoever can read the token (the account that runs the engine) may read from the API; changing anything needs a person.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import ValidationError

from evcontrol.api.schema import Endpoint


class NoEngineError(Exception):
    """No engine runs on a data directory; the message names it."""


def publish(data: Path, endpoint: Endpoint) -> str:
    """Write a new token (mode 0600) and the endpoint, and return the token."""
    run = data / "run"
    run.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    _replace(run / "token", token)
    _replace(run / "endpoint.json", endpoint.model_dump_json())
    return token


def withdraw(data: Path) -> None:
    """Remove both files."""
    for name in ("endpoint.json", "token"):
        (data / "run" / name).unlink(missing_ok=True)


def find(data: Path) -> tuple[Endpoint, str]:
    """The endpoint and token of the engine that runs on ``data``; NoEngineError when there is none."""
    run = data / "run"
    try:
        endpoint = Endpoint.model_validate_json((run / "endpoint.json").read_bytes())
        return endpoint, (run / "token").read_text(encoding="ascii")
    except FileNotFoundError:
        raise NoEngineError(f"no engine runs on {data}: start one with `evcontrol serve PLANT --data {data}`") from None
    except PermissionError as error:
        raise NoEngineError(f"{error.filename} may only be read by the account that runs the engine") from None
    except (ValidationError, UnicodeDecodeError):
        raise NoEngineError(f"{run / 'endpoint.json'} is damaged: restart the engine") from None


def _replace(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
