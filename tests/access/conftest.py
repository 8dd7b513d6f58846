"""People with cheap password hashes: what is tested is not the cost."""

from pathlib import Path

import pytest
from argon2 import PasswordHasher

from evcontrol.access import people
from evcontrol.access.people import People
from evcontrol.clock import LiveClock

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.json"


@pytest.fixture
def staff(path: Path) -> People:
    """Olivia operates, Quentin is quality, Edna an engineer; all have the same password."""
    staff = People(path, LiveClock())
    staff.add("olivia", "Olivia Operator", ["operator"], PASSWORD)
    staff.add("quentin", "Quentin Quality", ["quality"], PASSWORD)
    staff.add("edna", "Edna Engineer", ["engineer"], PASSWORD)
    return staff
