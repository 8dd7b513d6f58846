"""Damage to export files of NTA counters, for property tests."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import strategies as st

KINDS = ["byte", "digit", "lose", "double", "swap", "cut", "insert", "cell"]


@st.composite
def mutated(draw: st.DrawFn, sources: Sequence[str], head: int, tail: int) -> tuple[int, bytes]:
    """One of the files with some bytes changed, cells or lines lost, doubled or swapped, or its end lost.

    Most lines are bins: the first ``head`` and the last ``tail`` are hit as often.
    """
    which = draw(st.integers(0, len(sources) - 1))
    lines = sources[which].encode("latin-1").split(b"\n")
    place = st.integers(0, head) | st.integers(0, len(lines) - 1) | st.integers(len(lines) - tail, len(lines) - 1)
    for _ in range(draw(st.integers(1, 3))):
        i = draw(place) % len(lines)
        match draw(st.sampled_from(KINDS)):
            case "byte" if lines[i]:
                at = draw(st.integers(0, len(lines[i]) - 1))
                lines[i] = lines[i][:at] + draw(st.binary(min_size=1, max_size=1)) + lines[i][at + 1 :]
            case "digit":
                digits = [m.start() for m in re.finditer(rb"\d", lines[i])]
                if digits:
                    at = draw(st.sampled_from(digits))
                    lines[i] = lines[i][:at] + str(draw(st.integers(0, 9))).encode() + lines[i][at + 1 :]
            case "lose" if len(lines) > 1:
                del lines[i]
            case "double":
                lines.insert(i, lines[i])
            case "swap":
                j = draw(place) % len(lines)
                lines[i], lines[j] = lines[j], lines[i]
            case "cut":
                lines = lines[: i + 1]
            case "insert":
                lines.insert(i, draw(st.binary(max_size=30)))
            case "cell":
                part = b"\t" if b"\t" in lines[i] else b","
                cells = lines[i].split(part)
                at = draw(st.integers(0, len(cells) - 1))
                cells[at : at + 1] = draw(st.sampled_from([[], [cells[at], cells[at]], [b""], [b"1e999"], [b"NaN"]]))
                lines[i] = part.join(cells)
    return which, b"\n".join(lines)
