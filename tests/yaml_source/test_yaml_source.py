"""YAML that people write: every mistake has its place."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from evcontrol.yaml_source import MAX_BYTES, Document, SourceError, nearest


class Pump(BaseModel):
    model_config = ConfigDict(extra="forbid")
    flow: float
    name: str = ""


def test_every_part_knows_its_line_and_column() -> None:
    document = Document("a: 1\nb:\n  - x\n  - {c: 2.5}\n", "f.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": 2.5}]}
    assert document.place(("b", 1, "c")) == (4, 9)
    assert document.place(("b", 1, "missing")) == (4, 5)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\na: 2\n", 2, "twice"),
        ("x: &a 1\ny: *a\n", 1, "aliases"),
        ("a: [1\n", 2, "not YAML"),
        ("\t- a", 1, "not YAML"),
        ("? [a]\n: b", 1, "plain word"),
        ("a: !!python/object:os.system x", 1, "not YAML"),
        ("[" * 5000, 1, "nested too deeply"),
        ("a: 2026-13-45", 1, "not YAML"),
        ("\x00", 1, "not YAML"),
    ],
)
def test_what_is_not_plain_yaml_is_one_line_with_its_place(text: str, line: int, words: str) -> None:
    with pytest.raises(SourceError) as caught:
        Document(text, "f.yaml")
    (mistake,) = caught.value.mistakes
    assert mistake.line == line
    assert words in mistake.what
    assert str(mistake).count("\n") == 0


def test_a_file_too_large_is_refused() -> None:
    with pytest.raises(SourceError, match="larger than"):
        Document("a: " + "x" * MAX_BYTES, "f.yaml")


def test_a_model_is_told_all_its_mistakes_with_their_places() -> None:
    document = Document("pump:\n  flwo: 3\n  name: [1]\n", "f.yaml")
    with pytest.raises(SourceError) as caught:
        document.validated(Pump, document.data["pump"], ("pump",))
    told = {(m.line, m.what.split(" (")[0]) for m in caught.value.mistakes}
    assert (2, "unknown key 'flwo'") in told
    assert any(line == 3 and what.startswith("name:") for line, what in told)
    assert any("'flow' is missing" in what for _, what in told)
    assert "did you mean 'flow'" in str(caught.value)


def test_nearest_names_a_close_word_or_the_few_known_ones() -> None:
    assert nearest("TMPP", ["TMP", "FLUX"]) == " (did you mean 'TMP'?)"
    assert nearest("zzz", ["TMP", "FLUX"]) == " (known: FLUX, TMP)"
    assert nearest("zzz", []) == ""


@given(st.text(alphabet=st.sampled_from(list("ab:-[]{}#&*!|>'\"%@`,? \n\t01.")), max_size=60))
def test_no_text_escapes_as_anything_but_a_source_error(text: str) -> None:
    with contextlib.suppress(SourceError):
        Document(text, "f.yaml")
