"""The code blocks of the documents."""

from __future__ import annotations

import re


def fenced(text: str, language: str) -> list[str]:
    """The blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
