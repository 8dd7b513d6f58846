"""The export of a batch: one zip with everything that somebody else needs to read and to check it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from evcontrol.batch.balance import liquid_balances, summary, worst
from evcontrol.batch.entries import BatchRecord
from evcontrol.batch.record import Verdict, check_record, read_record
from evcontrol.batch.report import report
from evcontrol.batch.worth import summary as worth_in_words
from evcontrol.batch.worth import worth
from evcontrol.clock import iso
from evcontrol.history.export import to_csv
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.chain import encode, line_hash
from evcontrol.journal.events import Event

VERIFICATION: Final = "verification.json"
_STAMP: Final = (1980, 1, 1, 0, 0, 0)
"""Time of the files in the zip: the same record gives the same bytes."""

README: Final = """Batch {batch}, exported from evcontrol.

journal.jsonl      the events of the batch, in the order of the plant's journal and in the form in which they stand
                   there: the SHA-256 of each line (without its end) is the `prev` of the line after it in the journal
plant.jsonl        events of the plant that belong to no batch and are part of the record: the engine, links, alarms and
                   interlocks of the units in the batch's time
readings.csv       every reading of the batch's units and of the system, in process time (UTC); a Bad value is empty
recipe.yaml        the text of the recipe that it was started with
recipe-revision-N.yaml  that of each revision while it ran, if there was any
report.html        the batch report
verification.json  verdicts, the hash of every line of journal.jsonl, where the journal's chain stood, and the SHA-256
                   of every file here
"""


def write_export(data: Path, batch: str, out: Path) -> Path:
    """Write the batch as a zip to ``out`` (a file, or a directory for ``<batch>.zip``), and give its path.

    Raises UnknownBatchError, OSError, HistoryError when the readings cannot be read.
    """
    record = read_record(data, batch)
    path = out / f"{record.batch}.zip" if out.is_dir() else out
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    found = check_record(data, record)
    reader = HistoryReader(data / "history")
    try:
        _pack(temporary, record, found, reader)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _pack(path: Path, record: BatchRecord, found: Verdict, reader: HistoryReader) -> None:
    hashes: dict[str, str] = {}
    with zipfile.ZipFile(path, "w") as target:
        for name, content in _files(record, found, reader):
            hashes[name] = hashlib.sha256(content).hexdigest()
            _add(target, name, content)
        _readings(target, record, reader, hashes)
        _add(target, VERIFICATION, _verification(record, found, reader, hashes))


def _files(record: BatchRecord, found: Verdict, reader: HistoryReader) -> Iterator[tuple[str, bytes]]:
    yield "README.txt", README.format(batch=record.batch).encode()
    yield "journal.jsonl", _lines(record.own)
    yield "plant.jsonl", _lines([*record.standing, *record.meanwhile])
    yield "recipe.yaml", record.recipe.get("text", "").encode()
    for event in record.revisions:
        yield f"recipe-revision-{event.body['revision']}.yaml", event.body["recipe"].get("text", "").encode()
    yield "report.html", report(record, found, reader).encode()


def _lines(events: Iterable[Event]) -> bytes:
    """Events in the order and the form of the journal."""
    return b"".join(encode(event) + b"\n" for event in sorted(events, key=lambda event: event.seq))


def _readings(target: zipfile.ZipFile, record: BatchRecord, reader: HistoryReader, hashes: dict[str, str]) -> None:
    units = (*record.units.values(), "SYS")
    tags = [tag.name for tag in reader.tags() if tag.name.partition(".")[0] in units]
    with target.open(_info("readings.csv"), "w", force_zip64=True) as file:
        hashing = _Hashing(file)
        with io.TextIOWrapper(io.BufferedWriter(hashing), encoding="utf-8", newline="") as text:
            to_csv(reader, tags, record.created, record.end, text)
    hashes["readings.csv"] = hashing.sha256.hexdigest()


def _verification(record: BatchRecord, found: Verdict, reader: HistoryReader, hashes: dict[str, str]) -> bytes:
    balances = liquid_balances(record, reader)
    evaluated = worth(record, reader)
    seq, head = record.head
    document: dict[str, Any] = {
        "batch": record.batch,
        "state": record.state,
        "simulated": record.simulated,
        "created": iso(record.created),
        "ended": None if record.ended is None else iso(record.ended),
        "record": {"intact": found.intact, "faults": found.faults, "events_in_journal": found.events},
        "balance": {"verdict": worst(balances), "summary": summary(balances)},
        "yield": None if evaluated is None else {"verdict": evaluated.standing, "summary": worth_in_words(evaluated)},
        "gaps": [{"from": iso(gap.start), "to": iso(gap.end), "reason": gap.reason} for gap in record.gaps],
        "journal_head": {"before_event": seq, "sha256": head},
        "events": [{"seq": event.seq, "sha256": line_hash(encode(event))} for event in record.own],
        "files": hashes,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def _add(target: zipfile.ZipFile, name: str, content: bytes) -> None:
    target.writestr(_info(name), content)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _STAMP)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


class _Hashing(io.RawIOBase):
    """Passes bytes on, and reckons their SHA-256."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self._target.write(data)
        return len(data)
