"""Names of month files, and tags described in them."""

from pathlib import Path

from evcontrol.clock import NS
from evcontrol.history.layout import describe_tags, described_tags, file_name, month_files, month_of
from tests.history.plant import START, make_tags


def test_a_month_begins_at_midnight_utc() -> None:
    assert (month_of(START - 1), month_of(START)) == ("2026-02", "2026-03")
    assert month_of(0) == "1970-01"
    assert month_of(-NS) == "1969-12"


def test_tags_come_back_as_they_were() -> None:
    tags = list(make_tags())
    assert described_tags(describe_tags(tags)) == tuple(tags)


def test_month_files_are_in_order_and_strangers_left_out(tmp_path: Path) -> None:
    names = [file_name("2026-03", 10), "2026-03.db", file_name("2026-03", 2), "2025-12.db"]
    for name in [*names, "2026-03.db-wal", "notes.db", "2026-3.db"]:
        (tmp_path / name).touch()
    found = [path.name for _, path in month_files(tmp_path)]
    assert found == ["2025-12.db", "2026-03.db", "2026-03.2.db", "2026-03.10.db"]
    assert month_files(tmp_path / "nowhere") == []
