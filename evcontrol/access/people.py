"""The people who may sign on: names, roles and password hashes in ``people.json``.

Nobody is there by default. A name is taken for ever, in whatever case it is written: who leaves is disabled, not
removed.
"""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError, VerifyMismatchError

from evcontrol.access.error import AccessError
from evcontrol.access.people_file import Record, load, store
from evcontrol.access.rules import (
    canonical_password,
    check_full_name,
    check_name,
    check_password,
    check_roles,
    key_of,
)
from evcontrol.clock import NS, Clock, ClockKind, iso

__all__ = ["LOCK_S", "MAX_FAILURES", "REFUSED", "AccessError", "People", "Person"]

P = ParamSpec("P")
T = TypeVar("T")

MAX_FAILURES: Final = 5
"""So many wrong passwords in a row lock a person's access."""
LOCK_S: Final = 15 * 60.0
"""For how long, real seconds."""

REFUSED: Final = (
    "the name or the password is wrong, or the access is disabled or locked"
    f" ({MAX_FAILURES} wrong passwords lock it for {LOCK_S / 60:.0f} min)"
)
"""The one text for every refused password: it does not tell a guesser which names exist."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with access; ``user`` is written as it was first."""

    user: str
    full_name: str
    roles: tuple[str, ...]
    disabled: bool


class People:
    """Everybody who has, or once had, access.

    :meth:`add`, :meth:`set_password` and :meth:`check` hash a password, which takes tens of milliseconds: run them by
    :meth:`aside` where an event loop must not wait. All methods may be called from any thread.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        """``path`` is the file, which need not exist; AccessError with the place when it is damaged."""
        self._path = path
        self._clock = clock
        self._records: Mapping[str, Record] = load(path)
        self._changing = threading.Lock()
        # One password at a time: guesses in parallel cannot outrun the count, nor fill the memory.
        self._checking = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="password")
        self.trouble = ""
        """Why the count of wrong passwords could last not be kept on the disk; empty when it could."""

    async def aside(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do one of the slow calls in the one thread kept for them; inline in virtual time."""
        if self._clock.kind is ClockKind.VIRTUAL:
            return call(*args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._worker, lambda: call(*args, **kwargs))

    def get(self, user: str) -> Person | None:
        """The person of this name, in whatever case."""
        record = self._records.get(key_of(user))
        return None if record is None else _person(record)

    def all(self) -> list[Person]:
        """Everybody, by name."""
        return [_person(record) for _, record in sorted(self._records.items())]

    def add(self, user: str, full_name: str, roles: Sequence[str], password: str) -> Person:
        """Add a person; AccessError when the name was ever used, or breaks a rule."""
        check_name(user)
        check_full_name(full_name)
        check_roles(roles)
        check_password(password, user, full_name)
        self._refuse_taken(user)
        record = Record(
            user=user,
            full_name=full_name,
            roles=tuple(dict.fromkeys(roles)),
            password=_HASHER.hash(canonical_password(password).encode()),
            password_set=self._clock.wall(),
        )
        with self._changing:
            self._refuse_taken(user)
            self._keep(record)
        return _person(record)

    def disable(self, user: str) -> Person:
        """Take a person's access away for good; AccessError when there is none to take."""
        with self._changing:
            record = self._enabled(user).model_copy(update={"disabled": True})
            self._keep(record)
        return _person(record)

    def set_password(self, user: str, password: str) -> Person:
        """Give a person another password, which ends a lock; AccessError when it is the old one or breaks a rule."""
        record = self._enabled(user)
        check_password(password, record.user, record.full_name)
        with self._checking:
            if _matches(record.password, password):
                raise AccessError("the new password is the old one: choose another")
            hashed = _HASHER.hash(canonical_password(password).encode())
        with self._changing:
            change = {"password": hashed, "password_set": self._clock.wall(), "failures": 0, "locked_at": None}
            record = self._enabled(user).model_copy(update=change)
            self._keep(record)
        return _person(record)

    def check(self, user: str, password: str) -> Person:
        """The person, if the password is theirs; AccessError :data:`REFUSED` otherwise, with the cause as reason.

        Takes the same time whether the name exists or not. Wrong passwords count, and the count outlives a restart.
        """
        with self._checking:
            record = self._records.get(key_of(user))
            known = _NOBODY if record is None else record.password
            matches = _matches(known, password)
            with self._changing:
                current = self._records.get(key_of(user))
                # A password that was replaced meanwhile is a wrong one.
                matches = matches and current is not None and current.password == known
                return self._judge(current, matches)

    def _judge(self, record: Record | None, matches: bool) -> Person:
        now = self._clock.wall()
        if record is None:
            self._keep_count(None)
            raise AccessError(REFUSED, "unknown user")
        locked = _still_locked(record, now)
        if record.disabled or locked.locked_at is not None:
            self._keep_count(locked)
            raise AccessError(REFUSED, "disabled" if record.disabled else f"locked until {_end(locked)}")
        if not matches:
            failures = locked.failures + 1
            lock = failures >= MAX_FAILURES
            counted = locked.model_copy(update={"failures": failures, "locked_at": now if lock else None})
            self._keep_count(counted)
            how = f"locked until {_end(counted)}" if lock else f"{failures} of {MAX_FAILURES}"
            raise AccessError(REFUSED, f"wrong password ({how})")
        if record.failures:
            self._keep_count(locked.model_copy(update={"failures": 0}))
        return _person(record)

    def _keep_count(self, record: Record | None) -> None:
        """Keep a count; where the disk refuses, it holds in memory, and people can still sign on to help.

        For a name that does not exist the same file is written anew, so that it takes as long.
        """
        records = dict(self._records)
        if record is not None:
            records[key_of(record.user)] = record
        self._records = records
        if not records:
            return
        try:
            store(self._path, records.values())
        except OSError as error:
            self.trouble = f"{self._path}: {error.strerror or error}"
        else:
            self.trouble = ""

    def _keep(self, record: Record) -> None:
        records = {**self._records, key_of(record.user): record}
        try:
            store(self._path, records.values())
        except OSError as error:
            raise AccessError(f"{self._path}: {error.strerror or error}; nothing was changed") from None
        self._records = records

    def _refuse_taken(self, user: str) -> None:
        taken = self._records.get(key_of(user))
        if taken is not None:
            raise AccessError(
                f"the name {taken.user} was given to {taken.full_name} and is never given again: choose another"
            )

    def _enabled(self, user: str) -> Record:
        record = self._records.get(key_of(user))
        if record is None:
            raise AccessError(f"there is no user {user!a}")
        if record.disabled:
            raise AccessError(f"{record.user} is disabled, for good: give the person another name")
        return record


_HASHER = PasswordHasher()
"""Argon2id with the library's parameters (RFC 9106, low memory)."""


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode().rstrip("=")


_NOBODY = (
    f"$argon2id$v=19$m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    f"${_b64(bytes(_HASHER.salt_len))}${_b64(bytes(_HASHER.hash_len))}"
)
"""What the password of an unknown name is compared with: as costly as any, and nobody's."""


def _matches(hashed: str, password: str) -> bool:
    # Text that UTF-8 cannot carry is nobody's password.
    content = canonical_password(password).encode("utf-8", "surrogatepass")
    try:
        return _HASHER.verify(hashed, content)
    except VerifyMismatchError:
        return False
    except VerificationError as error:
        raise AccessError("passwords cannot be checked now: try again", f"argon2 failed: {error}") from None


def _still_locked(record: Record, now: int) -> Record:
    """The record with a lock that is over taken off; a machine clock that was set back does not prolong one."""
    if record.locked_at is None:
        return record
    if now >= record.locked_at + LOCK_S * NS:
        return record.model_copy(update={"failures": 0, "locked_at": None})
    return record.model_copy(update={"locked_at": min(record.locked_at, now)})


def _end(record: Record) -> str:
    return iso((record.locked_at or 0) + round(LOCK_S * NS))


def _person(record: Record) -> Person:
    return Person(record.user, record.full_name, record.roles, record.disabled)
