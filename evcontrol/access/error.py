"""The one error of the room."""

from __future__ import annotations


class AccessError(Exception):
    """Access or a change of it is refused; the text is one clear line for whoever asked.

    ``reason`` is for the journal and may say more, such as which of name and password was wrong. Neither holds a
    password.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message
