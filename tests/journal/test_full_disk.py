"""A full disk: ordinary events are refused, events of safety land in the reserve, and it ends by itself."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evcontrol.journal.events import ENGINE, Kind
from evcontrol.journal.reserve import STEP, Reserve
from evcontrol.journal.store import JournalUnavailableError, read_events, verify
from tests.journal.build import RESERVE, open_journal, segments

ON_A_SMALL_DISK = """
import asyncio, os, sys
from pathlib import Path
from evcontrol.clock import LiveClock
from evcontrol.journal.events import ENGINE, Kind
from evcontrol.journal.store import Journal, JournalUnavailableError, verify

def refused(journal):
    try:
        journal.append(Kind.ALARM_STATE, ENGINE, {"text": "x" * 100})
    except JournalUnavailableError:
        return True
    return False

def fill(path):
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

disk = Path(sys.argv[1])
journal = Journal(disk / "journal", LiveClock(), reserve_bytes=1 << 18)
journal.append(Kind.ENGINE_STARTED, ENGINE, {})
fill(disk / "filler")
while not refused(journal):
    pass
assert not journal.available and "No space" in journal.trouble, journal.trouble
assert not asyncio.run(journal.retry())
before = journal.head[0]
landed = 0
while journal.append_safety(Kind.SAFE_STATE, ENGINE, {"why": "x" * 1000}) is not None:
    landed += 1
    assert refused(journal) or landed == 1, "the reserve is for safety only"
assert landed > 150, landed
assert not journal.available
asyncio.run(journal.flush())
assert verify(disk / "journal", journal.head).intact
again = Journal(disk / "journal", LiveClock(), reserve_bytes=1 << 18)
assert not again.available and again.head == journal.head
again.close()
(disk / "filler").unlink()
assert asyncio.run(journal.retry()) and journal.available
assert not refused(journal)
assert (disk / "journal" / "reserve").stat().st_blocks * 512 >= 1 << 18
journal.close()
verdict = verify(disk / "journal", journal.head)
assert verdict.intact and verdict.events == journal.head[0], verdict
print("landed", landed)
"""


@pytest.mark.full  # needs the right to mount; the stand-in below runs everywhere
@pytest.mark.parametrize("filesystem", ["tmpfs", "ext4"])
def test_a_file_system_that_is_really_full(tmp_path: Path, filesystem: str) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    source, options = "none", "size=1m"
    if filesystem == "ext4":
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("no mkfs.ext4")
        source, options = str(tmp_path / "image"), "loop"
        with Path(source).open("wb") as image:
            image.truncate(8 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", source], check=True)
    private = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    do_mount = 'mount -t "$0" -o "$1" "$2" "$3" || exit 77; shift 3; exec "$@"'
    program = [sys.executable, "-c", ON_A_SMALL_DISK, str(mount)]
    run = subprocess.run(
        [*private, "sh", "-c", do_mount, filesystem, options, source, str(mount), *program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    if run.returncode == 77 or run.stderr.startswith("unshare:"):
        pytest.skip(f"no file system may be mounted here: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr


class SmallDisk:
    """Stand-in for a full disk: os.pwrite takes ``room`` more bytes; what the reserve takes and gives counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1 << 30
        self._held: dict[str, int] = {}
        self._pwrite, self._truncate = os.pwrite, os.truncate
        self._fallocate = os.posix_fallocate
        monkeypatch.setattr(os, "pwrite", self.pwrite)
        monkeypatch.setattr(os, "truncate", self.truncate)
        monkeypatch.setattr(os, "posix_fallocate", self.fallocate)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        taken = min(self.room, len(data))
        if taken == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= taken
        return self._pwrite(fd, data[:taken], offset)

    def truncate(self, path: Path, size: int) -> None:
        self.room += max(0, path.stat().st_size - size)
        self._truncate(path, size)

    def fallocate(self, fd: int, offset: int, length: int) -> None:
        more = max(0, length - os.fstat(fd).st_size)
        if more > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= more
        self._fallocate(fd, offset, length)


def test_a_line_that_does_not_fit_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SmallDisk(monkeypatch)
    journal = open_journal(tmp_path)
    journal.append(Kind.ENGINE_STARTED, ENGINE, {})
    head, size = journal.head, segments(tmp_path)[0].stat().st_size
    for room in (0, 1, 50):
        disk.room = room
        with pytest.raises(JournalUnavailableError, match="No space left on device"):
            journal.append(Kind.ALARM_STATE, ENGINE, {"text": "x" * 100})
        assert (journal.head, segments(tmp_path)[0].stat().st_size) == (head, size)
        assert not journal.available
    disk.room = 1 << 20
    journal.append(Kind.ALARM_STATE, ENGINE, {})
    assert journal.available
    assert journal.trouble == ""
    assert verify(tmp_path, journal.head).events == 2


def test_a_half_line_that_cannot_be_taken_back_at_once_is_taken_back_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SmallDisk(monkeypatch)
    journal = open_journal(tmp_path)
    disk.room = 50
    real = os.ftruncate

    def refuse(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(JournalUnavailableError):
        journal.append(Kind.ALARM_STATE, ENGINE, {})
    assert segments(tmp_path)[0].stat().st_size == 50
    assert list(read_events(tmp_path)) == []
    assert journal.append_safety(Kind.SAFE_STATE, ENGINE, {}) is None
    monkeypatch.setattr(os, "ftruncate", real)
    disk.room = 1 << 20
    journal.append(Kind.ALARM_STATE, ENGINE, {})
    assert verify(tmp_path, journal.head).intact


def test_safety_takes_the_reserve_in_small_pieces_and_others_get_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SmallDisk(monkeypatch)
    journal = open_journal(tmp_path)
    disk.room = 0
    assert journal.append_safety(Kind.SAFE_STATE, ENGINE, {"unit": "TFF101"}) is not None
    assert (tmp_path / "reserve").stat().st_size == RESERVE - STEP
    assert not journal.available
    assert "49152 bytes of the journal's reserve" in journal.trouble
    with pytest.raises(JournalUnavailableError):
        journal.append(Kind.ALARM_STATE, ENGINE, {})
    landed = 1
    while journal.append_safety(Kind.SAFE_STATE, ENGINE, {"unit": "TFF101", "why": "x" * 700}) is not None:
        landed += 1
    assert landed > RESERVE // 1100
    assert verify(tmp_path, journal.head).events == landed
    disk.room = 1 << 20
    assert journal.append(Kind.ALARM_STATE, ENGINE, {}).seq == landed
    assert journal.available
    assert (tmp_path / "reserve").stat().st_size == RESERVE


def test_safety_does_not_wait_for_a_new_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SmallDisk(monkeypatch)
    journal = open_journal(tmp_path, segment_bytes=1)
    journal.append(Kind.ALARM_STATE, ENGINE, {})
    disk.room = 0
    assert journal.append_safety(Kind.SAFE_STATE, ENGINE, {}) is not None
    assert len(segments(tmp_path)) == 1


def test_opened_on_a_full_disk_it_says_so_and_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SmallDisk(monkeypatch)
    journal = open_journal(tmp_path)
    journal.append(Kind.ALARM_STATE, ENGINE, {})
    journal.close()
    (tmp_path / "reserve").unlink()
    disk.room = 10
    journal = open_journal(tmp_path)
    assert not journal.available
    assert "reserve" in journal.trouble
    with pytest.raises(JournalUnavailableError):
        journal.append(Kind.ALARM_STATE, ENGINE, {})
    assert len(list(read_events(tmp_path))) == 1


def test_a_reserve_larger_than_asked_is_cut(tmp_path: Path) -> None:
    Reserve(tmp_path / "reserve", 1 << 20).build()
    assert Reserve(tmp_path / "reserve", 1 << 16).whole
    assert (tmp_path / "reserve").stat().st_size == 1 << 16


def test_a_probe_leaves_the_reserve_as_it_was(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", 1 << 16)
    reserve.build()
    reserve.probe()
    assert reserve.whole
    assert (tmp_path / "reserve").stat().st_size == 1 << 16
