"""The line's form and the chain, as a reader sees them."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.journal.chain import JournalDamagedError, decode, encode, normalised, read_events
from evcontrol.journal.events import ENGINE, GENESIS, Event, Kind, ProcessActor
from tests.journal.build import open_journal, segments, written

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INTEGER = st.integers(-(2**63), 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGER | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@given(kind=st.sampled_from(Kind), body=st.dictionaries(TEXT, JSON, max_size=4), seq=st.integers(0, 2**53), batch=TEXT)
def test_an_event_comes_back_from_its_line_and_has_only_one_form(
    kind: Kind, body: dict[str, object], seq: int, batch: str
) -> None:
    event = Event(seq, 1, 2, kind, "engine", "", batch, "", normalised(body))
    line = encode(event)
    assert b"\n" not in line
    assert decode(line) == event
    assert encode(decode(line)) == line


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_event_is_refused_with_a_reason(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(line)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("seq", "0", "seq is not an integer"),
        ("t", True, "t is not an integer"),
        ("actor", None, "actor is not text"),
        ("body", [], "body is not an object"),
        ("kind", "batch.eaten", "unknown kind"),
        ("more", 1, "keys"),
    ],
)
def test_every_field_has_its_type(key: str, value: object, reason: str) -> None:
    entry = json.loads(encode(Event(0, 1, 2, Kind.SIGNATURE, "engine", "", "", "", {})))
    entry[key] = value
    with pytest.raises(ValueError, match=reason):
        decode(json.dumps(entry).encode())


def test_a_body_is_kept_as_it_will_be_read() -> None:
    body = {"x": math.nan, "actor": ProcessActor.LOOP, "v": np.float64(0.1), "pair": (1, 2)}
    assert normalised(body) == {"x": None, "actor": "loop", "v": 0.1, "pair": [1, 2]}


def test_the_hash_of_a_line_is_what_sha256sum_says(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append(Kind.SIGNATURE, ENGINE, {})
    journal.append(Kind.SIGNATURE, ENGINE, {})
    journal.close()
    first, second = (tmp_path / "000001.jsonl").read_bytes().splitlines()
    assert json.loads(first)["prev"] == GENESIS
    assert json.loads(second)["prev"] == hashlib.sha256(first).hexdigest()
    assert journal.head == (2, hashlib.sha256(second).hexdigest())


def test_reading_gives_all_segments_in_order_or_one_batch(tmp_path: Path) -> None:
    written(tmp_path, 12)
    assert len(segments(tmp_path)) > 2
    assert [event.seq for event in read_events(tmp_path)] == list(range(12))
    assert [event.seq for event in read_events(tmp_path, batch="B-0001")] == [1, 4, 7, 10]


def test_reading_names_file_and_line_of_a_damage(tmp_path: Path) -> None:
    written(tmp_path, 12)
    second = segments(tmp_path)[1]
    lines = second.read_bytes().splitlines(keepends=True)
    second.write_bytes(lines[0].replace(b"volume", b"volumf") + b"".join(lines[1:]))
    with pytest.raises(JournalDamagedError, match=r"000002\.jsonl line 2: the line before") as caught:
        list(read_events(tmp_path))
    assert (caught.value.file, caught.value.line) == (second, 2)


def test_an_unfinished_line_at_the_end_is_no_event_yet(tmp_path: Path) -> None:
    written(tmp_path, 12)
    last = segments(tmp_path)[-1]
    last.write_bytes(last.read_bytes()[:-1])
    assert [event.seq for event in read_events(tmp_path)] == list(range(11))


def test_an_unfinished_line_before_another_segment_is_damage(tmp_path: Path) -> None:
    written(tmp_path, 12)
    first = segments(tmp_path)[0]
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(JournalDamagedError, match="not finished"):
        list(read_events(tmp_path))
