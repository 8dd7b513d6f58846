"""People: names, passwords, lockout, and a file that is whole or not written."""

import asyncio
import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.access import people as module
from evcontrol.access.people import LOCK_S, MAX_FAILURES, REFUSED, AccessError, People, Person
from evcontrol.clock import LiveClock, VirtualClock, run_virtual
from tests.access.conftest import PASSWORD

OLIVIA = Person("olivia", "Olivia Operator", ("operator",), disabled=False)


def _fail(staff: People, times: int, user: str = "olivia") -> str:
    """Wrong passwords; the reason of the last refusal."""
    reason = ""
    for _ in range(times):
        with pytest.raises(AccessError) as caught:
            staff.check(user, "wrong")
        assert str(caught.value) == REFUSED
        reason = caught.value.reason
    return reason


def test_nobody_is_there_by_default(path: Path) -> None:
    staff = People(path, LiveClock())
    assert staff.all() == []
    assert staff.get("admin") is None
    assert not path.exists()


def test_a_person_is_known_by_name_and_password(staff: People) -> None:
    assert staff.check("olivia", PASSWORD) == OLIVIA
    assert staff.check("OLIVIA", PASSWORD) == OLIVIA
    assert staff.get("Olivia") == OLIVIA


def test_people_outlive_a_restart(staff: People, path: Path) -> None:
    again = People(path, LiveClock())
    assert again.all() == staff.all()
    assert again.check("olivia", PASSWORD) == OLIVIA


def test_everybody_is_listed_by_name(staff: People) -> None:
    assert [person.user for person in staff.all()] == ["edna", "olivia", "quentin"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_only_the_owner_reads_the_file_whatever_the_umask(staff: People, path: Path) -> None:
    path.chmod(0o644)
    before = os.umask(0)
    try:
        staff.disable("edna")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_has_argon2id_and_no_password(staff: People, path: Path) -> None:
    text = path.read_text()
    assert PASSWORD not in text
    assert text.count("$argon2id$") == 3


@pytest.mark.parametrize("taken", ["olivia", "Olivia", "OLIVIA"])
def test_a_name_is_given_once_in_whatever_case(staff: People, taken: str) -> None:
    with pytest.raises(AccessError, match="never given again"):
        staff.add(taken, "Another", ["operator"], PASSWORD)


def test_a_disabled_person_stays_and_keeps_the_name(staff: People, path: Path) -> None:
    assert staff.disable("olivia").disabled
    again = People(path, LiveClock())
    with pytest.raises(AccessError, match="never given again"):
        again.add("olivia", "Another", ["operator"], PASSWORD)
    with pytest.raises(AccessError) as caught:
        again.check("olivia", PASSWORD)
    assert (str(caught.value), caught.value.reason) == (REFUSED, "disabled")


@pytest.mark.parametrize(
    "change", [lambda s: s.disable("olivia"), lambda s: s.set_password("olivia", "a new password")]
)
def test_nothing_changes_about_the_disabled(staff: People, change) -> None:  # type: ignore[no-untyped-def]
    staff.disable("olivia")
    with pytest.raises(AccessError, match="disabled"):
        change(staff)


def test_who_does_not_exist_cannot_be_changed(staff: People) -> None:
    with pytest.raises(AccessError, match="no user 'zoe'"):
        staff.disable("zoe")
    with pytest.raises(AccessError, match="no user 'zoe'"):
        staff.set_password("zoe", PASSWORD)


@pytest.mark.parametrize(
    ("user", "full_name", "roles", "password", "fault"),
    [
        ("", "Ann", ["operator"], PASSWORD, "no user name"),
        ("a b", "Ann", ["operator"], PASSWORD, "no user name"),
        ("user:ann", "Ann", ["operator"], PASSWORD, "no user name"),
        ("ann\n", "Ann", ["operator"], PASSWORD, "no user name"),
        ("\N{CYRILLIC SMALL LETTER A}nn", "Ann", ["operator"], PASSWORD, "no user name"),
        ("a" * 65, "Ann", ["operator"], PASSWORD, "no user name"),
        ("ann", "", ["operator"], PASSWORD, "no full name"),
        ("ann", " ", ["operator"], PASSWORD, "no full name"),
        ("ann", "Ann\nApproved", ["operator"], PASSWORD, "no full name"),
        ("ann", "Ann", [], PASSWORD, "role is missing"),
        ("ann", "Ann", ["operator", "god"], PASSWORD, "'god' is no role: choose from operator"),
        ("ann", "Ann", ["operator"], "123456789", "9 characters: at least 10"),
        ("ann", "Ann", ["operator"], "x" * 1025, "at most 1024"),
        ("ann.operator", "Ann", ["operator"], "Ann.Operator", "own name"),
        ("ann", "Ann Operator", ["operator"], "ann operator", "own name"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_one_line(
    path: Path, user: str, full_name: str, roles: list[str], password: str, fault: str
) -> None:
    with pytest.raises(AccessError, match=fault) as caught:
        People(path, LiveClock()).add(user, full_name, roles, password)
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_a_password_of_ten_characters_is_long_enough(staff: People) -> None:
    staff.set_password("olivia", "1234567890")
    assert staff.check("olivia", "1234567890") == OLIVIA


def test_only_the_new_password_is_taken(staff: People) -> None:
    staff.set_password("olivia", "a new password")
    staff.check("olivia", "a new password")
    assert _fail(staff, 1).startswith("wrong password")
    with pytest.raises(AccessError):
        staff.check("olivia", PASSWORD)


def test_the_old_password_is_no_new_one(staff: People) -> None:
    with pytest.raises(AccessError, match="old one"):
        staff.set_password("olivia", PASSWORD)


def test_a_password_does_not_depend_on_how_a_keyboard_composes_accents(staff: People) -> None:
    staff.set_password("olivia", "cafe\N{COMBINING ACUTE ACCENT} au lait")
    assert staff.check("olivia", "caf\N{LATIN SMALL LETTER E WITH ACUTE} au lait") == OLIVIA


@settings(max_examples=20, deadline=None)
@given(user=st.text(), password=st.text(st.characters(exclude_categories=[])))
def test_whatever_a_stranger_types_is_refused_alike(user: str, password: str) -> None:
    with pytest.raises(AccessError) as caught:
        _NOBODY_THERE.check(user, password)
    assert (str(caught.value), caught.value.reason) == (REFUSED, "unknown user")


_NOBODY_THERE = People(Path("/nonexistent/people.json"), LiveClock())


def test_text_that_utf8_cannot_carry_is_a_wrong_password(staff: People) -> None:
    with pytest.raises(AccessError, match="wrong"):
        staff.check("olivia", "\ud800" * 10)


def test_an_unknown_name_costs_as_much_as_a_known_one() -> None:
    cost = extract_parameters(module._NOBODY)
    assert cost == extract_parameters(PasswordHasher().hash("whatever"))
    assert not module._matches(module._NOBODY, "")


def test_an_unknown_name_is_answered_after_the_same_work(
    staff: People, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    monkeypatch.setattr(module, "_matches", lambda hashed, _: bool(compared.append(hashed)))
    for user in ("olivia", "zoe"):
        written = path.stat().st_ino
        _fail(staff, 1, user)
        assert path.stat().st_ino != written
    assert len(compared) == 2


# ---------------------------------------------------------------------------------------------------------------- lock


def test_wrong_passwords_lock_and_the_right_one_does_not_help(staff: People) -> None:
    assert _fail(staff, 1) == "wrong password (1 of 5)"
    assert "locked until" in _fail(staff, MAX_FAILURES - 1)
    with pytest.raises(AccessError) as caught:
        staff.check("olivia", PASSWORD)
    assert str(caught.value) == REFUSED
    assert caught.value.reason.startswith("locked until 2")


def test_the_lock_of_one_is_not_that_of_another(staff: People) -> None:
    _fail(staff, MAX_FAILURES)
    assert staff.check("quentin", PASSWORD).user == "quentin"


def test_a_right_password_begins_the_count_anew(staff: People) -> None:
    for _ in range(3):
        _fail(staff, MAX_FAILURES - 1)
        staff.check("olivia", PASSWORD)


def test_count_and_lock_outlive_a_restart(staff: People, path: Path) -> None:
    _fail(staff, MAX_FAILURES - 1)
    again = People(path, LiveClock())
    _fail(again, 1)
    with pytest.raises(AccessError) as caught:
        People(path, LiveClock()).check("olivia", PASSWORD)
    assert caught.value.reason.startswith("locked")


def test_a_lock_ends_after_its_time_and_the_count_is_anew(path: Path) -> None:
    async def scenario(clock: VirtualClock) -> None:
        staff = People(path, clock)
        staff.add("olivia", "Olivia Operator", ["operator"], PASSWORD)
        _fail(staff, MAX_FAILURES)
        await clock.sleep(LOCK_S - 1)
        assert _fail(staff, 1).startswith("locked")
        await clock.sleep(2)
        assert _fail(staff, 1) == "wrong password (1 of 5)"
        assert staff.check("olivia", PASSWORD) == OLIVIA

    run_virtual(scenario)


def test_a_machine_clock_that_was_set_back_does_not_prolong_a_lock(path: Path) -> None:
    later, earlier = 2_000_000_000_000_000_000, 1_000_000_000_000_000_000

    async def lock(clock: VirtualClock) -> None:
        staff = People(path, clock)
        staff.add("olivia", "Olivia Operator", ["operator"], PASSWORD)
        _fail(staff, MAX_FAILURES)

    async def unlock(clock: VirtualClock) -> None:
        staff = People(path, clock)
        assert _fail(staff, 1).startswith("locked")
        await clock.sleep(LOCK_S)
        assert staff.check("olivia", PASSWORD) == OLIVIA

    run_virtual(lock, later)
    run_virtual(unlock, earlier)


def test_a_new_password_ends_a_lock(staff: People) -> None:
    _fail(staff, MAX_FAILURES)
    staff.set_password("olivia", "a new password")
    assert staff.check("olivia", "a new password") == OLIVIA


def test_guesses_in_parallel_do_not_outrun_the_count(staff: People) -> None:
    start = threading.Barrier(8)

    def guess(_: int) -> str:
        start.wait()
        with pytest.raises(AccessError) as caught:
            staff.check("olivia", "wrong")
        return caught.value.reason

    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(guess, range(8)))
    assert sum(reason.startswith("wrong password") for reason in reasons) == MAX_FAILURES
    assert sum(reason.startswith("locked") for reason in reasons) == 8 - MAX_FAILURES


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.one_of(st.booleans(), st.integers(1, 1000)), max_size=25))
def test_the_lock_follows_its_rule_whatever_the_order(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:  # type: ignore[type-arg]
    """True is the right password, False a wrong one, a number seconds that pass."""
    path = tmp_path_factory.mktemp("lock") / "people.json"

    async def scenario(clock: VirtualClock) -> None:
        staff = People(path, clock)
        staff.add("olivia", "Olivia Operator", ["operator"], PASSWORD)
        failures, locked_until = 0, 0.0
        for step in steps:
            if not isinstance(step, bool):
                await clock.sleep(step)
                continue
            locked = failures >= MAX_FAILURES and clock.monotonic() < locked_until
            if failures >= MAX_FAILURES and not locked:
                failures = 0
            if step and not locked:
                assert staff.check("olivia", PASSWORD) == OLIVIA
                failures = 0
                continue
            with pytest.raises(AccessError) as caught:
                staff.check("olivia", PASSWORD if step else "wrong")
            assert caught.value.reason.startswith("locked" if locked else "wrong password")
            if not locked:
                failures += 1
                locked_until = clock.monotonic() + LOCK_S

    run_virtual(scenario)


# ----------------------------------------------------------------------------------------------------------- the disk


def _without_room(staff: People, path: Path) -> None:
    """From now on the new file cannot be made: a directory that is not empty stands in its place."""
    (path.with_name("people.json.new") / "x").mkdir(parents=True)


def test_a_disk_that_refuses_changes_nothing(staff: People, path: Path) -> None:
    before = path.read_bytes()
    _without_room(staff, path)
    for change in (
        lambda: staff.add("zoe", "Zoe", ["quality"], PASSWORD),
        lambda: staff.disable("olivia"),
        lambda: staff.set_password("olivia", "a new password"),
    ):
        with pytest.raises(AccessError, match=r"people\.json: .*; nothing was changed"):
            change()
    assert path.read_bytes() == before
    assert staff.get("zoe") is None
    assert staff.check("olivia", PASSWORD) == OLIVIA


def test_wrong_passwords_count_even_when_the_disk_refuses(staff: People, path: Path) -> None:
    _without_room(staff, path)
    assert "locked until" in _fail(staff, MAX_FAILURES)
    assert staff.trouble.startswith(str(path))
    (path.with_name("people.json.new") / "x").rmdir()
    path.with_name("people.json.new").rmdir()
    _fail(staff, 1)
    assert staff.trouble == ""
    with pytest.raises(AccessError):
        People(path, LiveClock()).check("olivia", PASSWORD)


def test_a_crash_while_writing_leaves_the_old_file(staff: People, path: Path) -> None:
    path.with_name("people.json.new").write_text('{"version": 1, "peo')
    again = People(path, LiveClock())
    assert again.all() == staff.all()
    assert again.disable("olivia").disabled


# ------------------------------------------------------------------------------------------------------------- damage


def _damaged(path: Path) -> str:
    with pytest.raises(AccessError) as caught:
        People(path, LiveClock())
    message = str(caught.value)
    assert "argon2id" not in message
    assert "\n" not in message
    return message


def test_cut_off_json_is_named_with_its_place(staff: People, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])
    assert f"{path} is damaged: Invalid JSON" in _damaged(path)
    assert "line " in _damaged(path)


def test_an_empty_file_is_damage_and_not_nobody(path: Path) -> None:
    path.write_bytes(b"")
    assert "damaged" in _damaged(path)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"roles": ["god"]}, "people.1: Value error, 'god' is no role"),
        ({"roles": "operator"}, "people.1.roles: "),
        ({"user": "edna "}, "people.1: Value error, 'edna ' is no user name"),
        ({"user": "OLIVIA"}, "people.1: the name OLIVIA is there twice"),
        ({"password": "secret"}, "people.1: Value error, the password of quentin is not kept as an argon2 hash"),
        ({"disabled": 0}, "people.1.disabled: "),
        ({"failures": -1}, "people.1.failures: "),
        ({"admin": True}, "people.1.admin: "),
    ],
)
def test_a_damaged_entry_is_named_with_its_place(
    staff: People, path: Path, change: dict[str, object], place: str
) -> None:
    content = json.loads(path.read_text())
    content["people"][1].update(change)
    path.write_text(json.dumps(content))
    assert f"{path} is damaged: {place}" in _damaged(path)


def test_a_file_of_a_later_version_is_not_guessed_at(staff: People, path: Path) -> None:
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    assert "damaged: version" in _damaged(path)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_changed_byte_never_brings_down_more_than_an_access_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damage") / "people.json"
    People(path, LiveClock()).add("olivia", "Olivia Operator", ["operator"], PASSWORD)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    assert "\n" not in _refusal(path)


def _refusal(path: Path) -> str:
    try:
        People(path, LiveClock()).check("olivia", PASSWORD)
    except AccessError as error:
        return str(error)
    return ""


# -------------------------------------------------------------------------------------------------------- event loops


def test_slow_calls_are_done_in_a_thread_when_live(staff: People) -> None:
    threads = asyncio.run(staff.aside(threading.current_thread))
    assert threads.name.startswith("password")


def test_slow_calls_are_done_inline_in_virtual_time(path: Path) -> None:
    async def scenario(clock: VirtualClock) -> None:
        assert await People(path, clock).aside(threading.current_thread) is threading.current_thread()

    run_virtual(scenario)
