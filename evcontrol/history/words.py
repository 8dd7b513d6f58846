"""The words behind codes, when the same code meant different words in different sessions."""

from __future__ import annotations

from collections.abc import Mapping

from evcontrol.signals import FloatArray


class Words:
    """One set of codes for readings of several sessions: who comes first keeps its codes."""

    def __init__(self) -> None:
        self.by_code: dict[int, str] = {}

    def merge(self, words: Mapping[int, str], values: FloatArray) -> FloatArray:
        """Take a session's words over; its values with the codes that now hold for them, NaN unchanged."""
        moved: dict[int, int] = {}
        next_code = max([-1, *self.by_code, *words]) + 1
        for code in sorted(words):
            known = self.by_code.setdefault(code, words[code])
            if known == words[code]:
                continue
            elsewhere = next((c for c, word in self.by_code.items() if word == words[code]), next_code)
            next_code += elsewhere == next_code
            self.by_code[elsewhere] = words[code]
            moved[code] = elsewhere
        if not moved:
            return values
        result = values.copy()
        for old, new in moved.items():
            result[values == old] = new
        return result
