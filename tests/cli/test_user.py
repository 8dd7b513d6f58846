"""``evcontrol user`` without an engine (file and journal, under the lock) and with one (over its API)."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from filelock import FileLock
from typer.testing import CliRunner

from evcontrol.access import people as people_module
from evcontrol.access.people import MAX_FAILURES, AccessError, People
from evcontrol.api import endpoint
from evcontrol.api.schema import Endpoint
from evcontrol.cli.connect import login_name, station
from evcontrol.cli.fault import CliError
from evcontrol.cli.people import add_person
from evcontrol.cli.secret import VARIABLE
from evcontrol.cli.user import NEW_VARIABLE, app
from evcontrol.clock import LiveClock
from evcontrol.journal.events import Event
from evcontrol.journal.store import Journal, JournalUnavailableError, read_events, verify

FIRST = "the first password"
SECOND = "the second password"
ANN = ["add", "ann", "--name", "Ann Admin", "--role", "administrator", "--role", "quality"]
BOB = ["add", "bob", "--name", "Bob Operator", "--role", "operator"]


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (VARIABLE, NEW_VARIABLE, "EVCONTROL_USER", "EVCONTROL_DATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(people_module, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def _run(data: Path, *arguments: str, secrets: tuple[str, ...] = ()) -> str:
    """Standard output of a command; raises what it ends with."""
    stdin = ["--password-stdin"] if secrets else []
    lines = "".join(f"{secret}\n" for secret in secrets)
    result = CliRunner().invoke(app, [*arguments, "--data", str(data), *stdin], input=lines)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert not any(secret in result.output for secret in secrets)
    if result.exit_code:
        raise CliError(result.output, status=result.exit_code)
    return result.stdout


def _people(data: Path) -> People:
    return People(data / "people.json", LiveClock())


def _journal(data: Path) -> list[Event]:
    assert verify(data / "journal").intact
    return list(read_events(data / "journal"))


def _last(data: Path) -> tuple[str, str, dict[str, Any]]:
    event = _journal(data)[-1]
    assert event.station == station()
    return event.kind.value, event.actor, dict(event.body)


# -------------------------------------------------------------------------------------------------------- no engine


def test_the_first_person_is_added_and_the_journal_names_the_account(data: Path) -> None:
    said = _run(data, *ANN, secrets=(FIRST,))
    assert said == "ann (Ann Admin) was added: administrator, quality\n"
    assert _people(data).check("ann", FIRST).roles == ("administrator", "quality")
    body = {"user": "ann", "full_name": "Ann Admin", "roles": ["administrator", "quality"]}
    assert _last(data) == ("user.added", f"account:{login_name()}", body)


def test_who_says_their_name_proves_it_and_is_named(data: Path) -> None:
    _run(data, *ANN, secrets=(FIRST,))
    _run(data, *BOB, "--by", "ANN", secrets=(FIRST, SECOND))
    assert _people(data).check("bob", SECOND).user == "bob"
    assert _last(data)[:2] == ("user.added", "user:ann")


def test_a_wrong_password_of_who_adds_is_refused_counted_and_journalled(data: Path) -> None:
    _run(data, *ANN, secrets=(FIRST,))
    for _ in range(MAX_FAILURES):
        with pytest.raises(CliError, match="wrong"):
            _run(data, *BOB, "--by", "ann", secrets=("wrong", SECOND))
    assert _people(data).get("bob") is None
    kind, actor, body = _last(data)
    assert (kind, actor, body["user"]) == ("session.denied", f"account:{login_name()}", "ann")
    with pytest.raises(AccessError) as caught:
        _people(data).check("ann", FIRST)
    assert caught.value.reason.startswith("locked")


def test_who_may_not_administer_is_refused_and_journalled(data: Path) -> None:
    _run(data, *BOB, secrets=(FIRST,))
    with pytest.raises(CliError, match="bob may not administer people"):
        _run(data, *ANN, "--by", "bob", secrets=(FIRST, SECOND))
    assert _last(data)[:2] == ("denied", "user:bob")
    assert _people(data).get("ann") is None


def test_everybody_may_change_their_own_password(data: Path) -> None:
    _run(data, *BOB, secrets=(FIRST,))
    _run(data, "password", "Bob", "--by", "bob", secrets=(FIRST, SECOND))
    assert _people(data).check("bob", SECOND).user == "bob"
    assert _last(data) == ("user.changed", "user:bob", {"user": "bob", "what": "password", "old": "", "new": ""})


def test_passwords_come_from_variables_that_cannot_be_mixed_up(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, FIRST)
    _run(data, *ANN)
    with pytest.raises(CliError, match=f"no new password: use --password-stdin or set {NEW_VARIABLE}") as caught:
        _run(data, *BOB, "--by", "ann")
    assert caught.value.status == 2
    monkeypatch.setenv(NEW_VARIABLE, SECOND)
    _run(data, *BOB, "--by", "ann")
    assert _people(data).check("bob", SECOND).user == "bob"


def test_disabling_needs_a_reason_that_the_journal_keeps(data: Path) -> None:
    _run(data, *BOB, secrets=(FIRST,))
    with pytest.raises(CliError, match="--reason"):
        _run(data, "disable", "bob", "--reason", " ")
    _run(data, "disable", "BOB", "--reason", "left the company")
    found = _people(data).get("bob")
    assert found is not None
    assert found.disabled
    body = {"user": "bob", "what": "disabled", "old": False, "new": True, "reason": "left the company"}
    assert _last(data)[2] == body


def test_a_name_is_given_once(data: Path) -> None:
    _run(data, *BOB, secrets=(FIRST,))
    _run(data, "disable", "bob", "--reason", "left")
    with pytest.raises(CliError, match="never given again"):
        _run(data, "add", "BOB", "--name", "Another", "--role", "operator", secrets=(FIRST,))


def test_what_breaks_a_rule_leaves_no_trace(data: Path) -> None:
    with pytest.raises(CliError, match="is no role: choose from operator"):
        _run(data, "add", "bob", "--name", "Bob", "--role", "god", secrets=(FIRST,))
    assert _people(data).all() == []
    assert _journal(data) == []


def test_everybody_is_listed_for_people_and_machines(data: Path) -> None:
    assert _run(data, "list") == f"nobody has access to {data} yet\n"
    assert not data.exists()
    _run(data, *BOB, secrets=(FIRST,))
    _run(data, "disable", "bob", "--reason", "left")
    assert " ".join(_run(data, "list").split()) == "User Name Roles State bob Bob Operator operator disabled"
    bob = {"user": "bob", "full_name": "Bob Operator", "roles": ["operator"], "disabled": True}
    assert json.loads(_run(data, "list", "--json")) == [bob]


def test_while_another_holds_the_data_directory_nothing_is_changed(data: Path) -> None:
    (data / "run").mkdir(parents=True)
    with FileLock(data / "run" / "lock"), pytest.raises(CliError, match="is in use by an engine") as caught:
        _run(data, *BOB, secrets=(FIRST,))
    assert len(caught.value.lines) == 1
    assert not (data / "people.json").exists()
    _run(data, *BOB, secrets=(FIRST,))


def test_the_endpoint_of_a_killed_engine_does_not_keep_people_out(data: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    server.server_close()
    endpoint.publish(data, Endpoint(url=url, pid=1, plant="p", simulated=True))
    _run(data, *BOB, secrets=(FIRST,))
    assert _people(data).get("bob") is not None


def test_damaged_people_are_one_line(data: Path) -> None:
    data.mkdir()
    (data / "people.json").write_text('{"version": 1,')
    for command in (BOB, ["list"]):
        with pytest.raises(CliError, match=r"people\.json is damaged") as caught:
            _run(data, *command, secrets=(FIRST,) if command is BOB else ())
        assert len(caught.value.lines) == 1


def test_what_the_journal_cannot_keep_is_not_done(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(data, *BOB, secrets=(FIRST,))
    before = (data / "people.json").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise JournalUnavailableError("journal: No space left on device")

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(CliError, match="No space left"):
        _run(data, "disable", "bob", "--reason", "left")
    assert (data / "people.json").read_bytes() == before


def test_a_first_person_that_the_journal_cannot_keep_is_not_there(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise JournalUnavailableError("journal: No space left on device")

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(CliError, match="No space left"):
        _run(data, *BOB, secrets=(FIRST,))
    assert not (data / "people.json").exists()


def test_a_person_is_added_by_a_program_that_runs_an_event_loop_or_not(data: Path) -> None:
    async def program() -> None:
        add_person(data, "olivia", "Olivia Operator", ["operator", "supervisor"], FIRST)

    asyncio.run(program())
    assert _people(data).check("olivia", FIRST).roles == ("operator", "supervisor")
    assert _last(data)[0] == "user.added"
    with pytest.raises(CliError, match="never given again"):
        add_person(data, "olivia", "Olivia Operator", ["operator"], FIRST)


# ------------------------------------------------------------------------------------------------------- with an engine


class _Engine(ThreadingHTTPServer):
    """Answers as the API does, and keeps what it was asked; it has the journal, so the command must not touch it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []


class _Answers(BaseHTTPRequestHandler):
    server: _Engine

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))))
        self.server.asked.append((self.path, self.headers["authorization"], body))
        user = {"user": "bob", "full_name": "Bob Operator", "roles": ["operator"], "disabled": False}
        session = {"user": "ann", "full_name": "Ann", "roles": [], "permissions": [], "station": "s", "token": "tok"}
        self._answer(session if self.path == "/api/sessions" else user)

    def do_DELETE(self) -> None:
        self.server.asked.append((self.path, self.headers["authorization"], {}))
        self._answer(None)

    def _answer(self, content: object) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def engine(data: Path) -> Iterator[_Engine]:
    with _Engine() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        endpoint.publish(data, Endpoint(url=url, pid=1, plant="p", simulated=True))
        yield server
        server.shutdown()
        thread.join()
    assert not (data / "people.json").exists()
    assert not (data / "journal").exists()


def test_an_engine_adds_in_the_name_of_a_signed_on_person(data: Path, engine: _Engine) -> None:
    _run(data, *BOB, "--by", "ann", secrets=(FIRST, SECOND))
    new = {"user": "bob", "full_name": "Bob Operator", "roles": ["operator"], "password": SECOND}
    assert [(path, body) for path, _, body in engine.asked] == [
        ("/api/sessions", {"user": "ann", "password": FIRST, "station": station()}),
        ("/api/users", new),
        ("/api/sessions/current", {}),
    ]
    assert engine.asked[1][1] == "Bearer tok"


def test_an_engine_disables(data: Path, engine: _Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVCONTROL_USER", "ann")
    monkeypatch.setenv(VARIABLE, FIRST)
    assert _run(data, "disable", "bob", "--reason", "left") == "bob is disabled\n"
    assert engine.asked[0][2]["user"] == "ann"
    assert engine.asked[1][::2] == ("/api/users/bob/disable", {"reason": "left"})


@pytest.mark.parametrize(("user", "old"), [("bob", None), ("Ann", FIRST)])
def test_an_engine_is_given_the_old_password_of_ones_own(
    data: Path, engine: _Engine, user: str, old: str | None
) -> None:
    _run(data, "password", user, "--by", "ann", secrets=(FIRST, SECOND))
    assert engine.asked[1][::2] == (f"/api/users/{user}/password", {"password": SECOND, "old": old})


def test_what_no_engine_would_take_is_not_sent(data: Path, engine: _Engine) -> None:
    with pytest.raises(CliError, match="--name: is empty") as caught:
        _run(data, "add", "bob", "--name", "", "--role", "operator", "--by", "ann", secrets=(FIRST, SECOND))
    assert caught.value.status == 2
    assert engine.asked == []
