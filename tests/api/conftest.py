"""Passwords that are hashed quickly: tests are about who may do what."""

import pytest
from argon2 import PasswordHasher

from evcontrol.access import people


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
