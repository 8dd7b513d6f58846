"""The section ``influxdb:`` of a plant file, or of a file of its own: checked, and made into a target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from evcontrol.history.forward_state import ForwardState
from evcontrol.history.line import QUALITY_SUFFIX
from evcontrol.history.target import Target
from evcontrol.plant.schema import InfluxSection, Section
from evcontrol.signals import TagKind, TagTable
from evcontrol.yaml_source import Document, Mistake, SourceError

KEY = "influxdb"
STATE_TAG = "SYS.FORWARD_STATE"
TEXT_TAG = "SYS.FORWARD_REASON"
TOLD_INSTEAD = (
    "token: a token never stands in a file that is shown and kept; "
    "name an environment variable (token_env) or a file (token_file) that holds it"
)


@dataclass(frozen=True, slots=True)
class PlacedSection:
    """The section with the document that knows its places."""

    document: Document
    section: InfluxSection

    def mistake(self, key: str, what: str) -> Mistake:
        """A mistake at a key of the section."""
        return self.document.mistake((KEY, key), what)


class _File(Section):
    """A file that holds only the section."""

    influxdb: InfluxSection


def read_section(path: Path) -> PlacedSection:
    """The section of a file of its own. SourceError with every mistake, OSError when it cannot be read."""
    document = Document(path.read_text(encoding="utf-8", errors="replace"), str(path))
    if not isinstance(document.data, dict):
        raise SourceError([Mistake(str(path), 1, 1, f"it must hold the section {KEY!r}")])
    refuse_token(document)
    return PlacedSection(document, document.validated(_File, document.data).influxdb)


def refuse_token(document: Document) -> None:
    """SourceError when a token itself was written down; what it is, is not told."""
    section: Any = document.data.get(KEY)
    if isinstance(section, dict) and "token" in section:
        raise SourceError([document.mistake((KEY, "token"), TOLD_INSTEAD)])


def make_target(placed: PlacedSection, plant: str, tags: TagTable, simulated: bool) -> Target:
    """Where a plant's readings go. SourceError with every mistake."""
    section = placed.section
    mistakes = list(_mistakes(placed, plant, tags, simulated))
    if mistakes:
        raise SourceError(mistakes)
    bucket = section.simulated_bucket if simulated else section.bucket
    return Target(
        url=section.url.rstrip("/"),
        org=section.org,
        bucket=bucket or "",
        plant=plant,
        simulated=simulated,
        token_env=section.token_env or "",
        token_file=section.token_file or "",
        timeout_s=section.timeout,
        longest_pause_s=section.longest_pause,
        batch_lines=section.batch_lines,
    )


def forwarding_mistakes(document: Document, tags: TagTable) -> Iterator[Mistake]:
    """What is wrong with the tags that tell how the forwarding stands."""
    words = tuple(state.value for state in ForwardState)
    if STATE_TAG in tags and tags[STATE_TAG].labels != words:
        yield document.mistake(("tags", STATE_TAG), f"{STATE_TAG}: kind enum, labels [{', '.join(words)}]")
    if TEXT_TAG in tags and tags[TEXT_TAG].kind is not TagKind.TEXT:
        yield document.mistake(("tags", TEXT_TAG), f"{TEXT_TAG}: kind text")


def _mistakes(placed: PlacedSection, plant: str, tags: TagTable, simulated: bool) -> Iterator[Mistake]:
    section = placed.section
    yield from _wrong_url(placed)
    for key in ("org", "bucket", "simulated_bucket", "token_env", "token_file"):
        value = getattr(section, key)
        if value is not None and (not value.strip() or value != value.strip()):
            yield placed.mistake(key, f"{key}: it must not be empty, nor begin or end with a space")
    if (section.token_env is None) == (section.token_file is None):
        yield placed.mistake("token_env", "give either token_env or token_file: where the token is found")
    if section.simulated_bucket == section.bucket:
        what = "simulated_bucket is the production bucket: simulated readings need one of their own"
        yield placed.mistake("simulated_bucket", what)
    elif simulated and section.simulated_bucket is None:
        yield placed.mistake("bucket", f"a simulated plant never writes to {section.bucket!r}: give a simulated_bucket")
    for key in ("timeout", "longest_pause"):
        if not getattr(section, key) > 0:
            yield placed.mistake(key, f"{key} must be longer than 0 s")
    if not plant.strip() or not plant.isprintable() or "\\" in plant:
        yield placed.mistake("url", "the plant's name goes along: it must be one line, without a backslash")
    for tag in tags:
        if tag.name.endswith(QUALITY_SUFFIX):
            yield placed.mistake("url", f"tag {tag.name!r}: names ending in {QUALITY_SUFFIX} are those of qualities")


def _wrong_url(placed: PlacedSection) -> Iterator[Mistake]:
    try:
        parts = urlsplit(placed.section.url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        yield placed.mistake("url", "url: write it as http://HOST:8086 or https://HOST")
        return
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits or parts.query or parts.fragment:
        yield placed.mistake("url", "url: write it as http://HOST:8086 or https://HOST")
    elif parts.username is not None or parts.password is not None:
        yield placed.mistake("url", "url: no name or password here; the token is found by token_env or token_file")
