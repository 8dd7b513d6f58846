"""Where the readings of a plant are forwarded to, and with which token."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

MAX_TOKEN_BYTES = 4096


class TokenError(Exception):
    """There is no usable token; one line that never holds it."""


@dataclass(frozen=True, slots=True)
class Target:
    """One bucket of one server, and what is written into it.

    ``simulated`` readings and real ones never share a target. The token is in the environment variable ``token_env`` or
    the file ``token_file``, one of which is empty. ``timeout_s`` is for one request, ``longest_pause_s``
    between two attempts, both in real time.
    """

    url: str
    org: str
    bucket: str
    plant: str
    simulated: bool
    token_env: str = ""
    token_file: str = ""
    timeout_s: float = 10.0
    longest_pause_s: float = 30.0
    batch_lines: int = 500

    def to_json(self) -> str:
        """The target as one line."""
        return json.dumps(asdict(self), ensure_ascii=True)

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """The target in a line; ValueError when there is none."""
        try:
            return cls(**json.loads(line))
        except TypeError as error:
            raise ValueError(f"not a target: {error}") from None

    def token(self) -> str:
        """The token as it is now; TokenError when there is none."""
        if self.token_env:
            text, where = os.environ.get(self.token_env, ""), f"the environment variable {self.token_env}"
        else:
            text, where = _read(Path(self.token_file)), self.token_file
        token = text.strip()
        if not token:
            raise TokenError(f"no token: {where} is {'empty' if text else 'not set or empty'}")
        # http.client would put what it cannot send into its error message, and so into the log.
        if not token.isascii() or not token.isprintable() or " " in token:
            raise TokenError(f"no token: {where} holds more than one word of plain letters")
        return token


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_TOKEN_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise TokenError(f"no token: {path}: {error.strerror or error}") from None
