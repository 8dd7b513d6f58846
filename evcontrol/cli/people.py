"""Changes of ``people.json`` while no engine runs: under the data directory's lock, and journalled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from evcontrol.access.people import AccessError, People, Person
from evcontrol.access.people_file import load, store
from evcontrol.access.permission import Permission, permissions_of
from evcontrol.cli.connect import login_name, station
from evcontrol.cli.fault import CliError
from evcontrol.clock import LiveClock
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.store import Journal, JournalDamagedError, JournalUnavailableError


def add_person(data: Path, user: str, full_name: str, roles: list[str], password: str) -> None:
    """Add a person on the authority of the account that owns the data directory; CliError when it cannot be done."""
    with editing(data) as editor:
        editor.add(user, full_name, roles, password)


def all_people(data: Path) -> list[Person]:
    """Everybody, as the data directory has them now; an engine may run. Raises CliError."""
    with _one_line():
        return People(_people_file(data), LiveClock()).all()


@contextmanager
def editing(data: Path) -> Iterator[Editor]:
    """Lock a data directory, which is made if need be, to change its people. Raises CliError."""
    with _one_line(), _locked(data), closing(Journal(data / "journal", LiveClock())) as journal:
        yield Editor(_people_file(data), journal)


class Editor:
    """Makes one change of the people: it stands in ``people.json`` and in the journal, or in neither.

    Raises AccessError, and what the journal raises; :func:`editing` makes CliError of both.
    """

    def __init__(self, path: Path, journal: Journal) -> None:
        self._path = path
        self._people = People(path, LiveClock())
        self._journal = journal
        # Nobody proved who they are: the journal must not name a person.
        self._origin = Origin(f"account:{login_name()}", station())

    def authorise(self, by: str, password: str, own: str = "") -> None:
        """Act in the name of a person who may administer people, or who changes their ``own`` access."""
        try:
            person = self._people.check(by, password)
        except AccessError as error:
            self._journal.append(Kind.SESSION_DENIED, self._origin, {"user": _plain(by), "reason": error.reason})
            raise
        origin = Origin.user(person.user, station())
        if own.casefold() != person.user.casefold() and Permission.ADMINISTER not in permissions_of(person.roles):
            denied = {"user": person.user, "permission": Permission.ADMINISTER, "what": "evcontrol user"}
            self._journal.append(Kind.DENIED, origin, denied)
            raise AccessError(f"{person.user} may not administer people")
        self._origin = origin

    def add(self, user: str, full_name: str, roles: list[str], password: str) -> Person:
        """Add a person."""
        return self._change(lambda: self._people.add(user, full_name, roles, password), Kind.USER_ADDED, _added)

    def disable(self, user: str, reason: str) -> Person:
        """Take a person's access away for good."""
        changed = {"what": "disabled", "old": False, "new": True, "reason": reason}
        return self._change(
            lambda: self._people.disable(user), Kind.USER_CHANGED, lambda person: {"user": person.user, **changed}
        )

    def set_password(self, user: str, password: str) -> Person:
        """Give a person another password, which the journal does not hold."""
        changed = {"what": "password", "old": "", "new": ""}
        return self._change(
            lambda: self._people.set_password(user, password),
            Kind.USER_CHANGED,
            lambda person: {"user": person.user, **changed},
        )

    def _change(self, change: Callable[[], Person], kind: Kind, body: Callable[[Person], dict[str, Any]]) -> Person:
        existed = self._path.exists()
        before = load(self._path)
        person = change()
        try:
            self._journal.append(kind, self._origin, body(person))
            self._journal.close()
        except JournalUnavailableError:
            if existed:
                store(self._path, before.values())
            else:
                self._path.unlink()
            raise
        return person


def _added(person: Person) -> dict[str, Any]:
    return {"user": person.user, "full_name": person.full_name, "roles": list(person.roles)}


def _people_file(data: Path) -> Path:
    return data / "people.json"


def _plain(text: str) -> str:
    """A name as typed, in characters that any record can hold."""
    return text.encode("ascii", "backslashreplace").decode()


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    lock = FileLock(data / "run" / "lock", timeout=0)
    (data / "run").mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire()
    except Timeout:
        raise CliError(f"{data} is in use by an engine or another command: try again when it has ended") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except (AccessError, JournalUnavailableError, JournalDamagedError) as error:
        raise CliError(str(error)) from None
