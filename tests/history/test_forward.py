"""What arrives at a real server equals what was kept, whatever server, network and worker did in between."""

from __future__ import annotations

import random
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcontrol.clock import LiveClock
from evcontrol.history.forward import CURSOR_FILE
from evcontrol.history.forward_state import ForwardState
from evcontrol.history.layout import Gap
from evcontrol.history.month import MonthFile
from evcontrol.quality import BAD_NOT_CONNECTED
from evcontrol.signals import Tag, TagKind, TagTable
from tests.history.forwarded import compare
from tests.history.forwarding import Story, Worker, forward, running, target, until
from tests.history.influx_gateway import Gateway
from tests.history.influx_server import INFLUXD, NOT_HERE, InfluxServer
from tests.history.plant import START, frame
from tests.history.server_process import LOOPBACK
from tests.history.test_seal import seal_all

pytestmark = pytest.mark.skipif(INFLUXD is None, reason=NOT_HERE)
MONTH = 31 * 24 * 3600 * 1_000_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    with InfluxServer(tmp_path_factory.mktemp("influx")) as running:
        yield running


@pytest.fixture
def bucket(server: InfluxServer, request: pytest.FixtureRequest) -> str:
    name = f"bucket of {request.node.name}"
    server.create(name)
    return name


@pytest.fixture
def gateway(server: InfluxServer) -> Iterator[Gateway]:
    with Gateway(server) as gateway:
        yield gateway


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with closing(Story(tmp_path)) as story:
        yield story


def assert_equal(data: Path, server: InfluxServer, bucket: str, simulated: bool = False) -> int:
    """The number of readings that are here and there."""
    result = compare(data, server, bucket, simulated=simulated)
    assert result.differences == []
    return result.readings


def test_readings_gaps_and_units_arrive_as_they_were_kept(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    story.keep([*story.scans(120), Gap(story.t + 1, story.t + 50, 'the disk, "full"'), *story.scans(80)])
    story.t += MONTH
    story.keep([Gap(START, story.t, "the engine was not running"), *story.scans(50)])
    forwarder = forward(tmp_path, target(tmp_path, gateway, bucket))
    result = compare(tmp_path, server, bucket, simulated=False)
    assert (result.readings, result.tags, result.gaps, result.differences) == (250 * 5, 5, 2, [])
    assert forwarder.status.oldest is None
    sent = [line for write in gateway.writes for line in write.lines if line.startswith(b"readings,")]
    times = [int(line.rsplit(b" ", 1)[1]) for line in sent if line[-1:].isdigit()]
    assert times == sorted(times), "in order"


def test_nothing_is_sent_twice_and_what_is_new_is_sent(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    story.keep(story.scans(20))
    to = target(tmp_path, gateway, bucket)
    assert forward(tmp_path, to).status.lines == 20 * 2 + 5
    writes = len(gateway.writes)
    assert forward(tmp_path, to).status.lines == 0
    assert len(gateway.writes) == writes
    story.keep(story.scans(3))
    assert forward(tmp_path, to).status.lines == 3 * 2 + 5, "what the tags are is told again"
    assert_equal(tmp_path, server, bucket)


def test_readings_arrive_while_they_are_kept(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    with running(tmp_path, target(tmp_path, gateway, bucket)) as (forwarder, _):
        for _ in range(20):
            story.keep(story.scans(5))
        until(lambda: forwarder.status.lines >= 200 and forwarder.status.oldest is None)
        assert forwarder.status.state is ForwardState.FORWARDING
        assert forwarder.status.rate > 0
        story.keep(story.scans(1))
        until(lambda: forwarder.status.lines >= 202)
    assert assert_equal(tmp_path, server, bucket) == 505


def test_a_server_that_was_killed_has_everything_when_it_is_back(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    with running(tmp_path, target(tmp_path, gateway, bucket)) as (forwarder, told):
        story.keep(story.scans(100))
        until(lambda: forwarder.status.lines > 100)
        server.kill()
        story.keep(story.scans(200))
        until(lambda: forwarder.status.state is ForwardState.WAITING)
        assert "broke the connection off" in forwarder.status.reason
        assert forwarder.status.lag_s(LiveClock().wall() + 10**9) > 1.0
        server.start()
        until(lambda: forwarder.status.oldest is None and forwarder.status.state is ForwardState.FORWARDING)
    assert forwarder.status.lag_s(LiveClock().wall()) == 0.0
    assert ForwardState.WAITING in [status.state for status in told]
    assert_equal(tmp_path, server, bucket)


def test_a_hung_server_is_waited_for_and_overwritten_by_the_repeat(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    with running(tmp_path, target(tmp_path, gateway, bucket, timeout_s=0.3)) as (forwarder, _):
        story.keep(story.scans(50))
        until(lambda: forwarder.status.lines > 50)
        server.hang()
        try:
            story.keep(story.scans(100))
            until(lambda: forwarder.status.state is ForwardState.WAITING)
            assert "did not answer within 0.3 s" in forwarder.status.reason
        finally:
            server.go_on()
        until(lambda: forwarder.status.oldest is None)
    assert_equal(tmp_path, server, bucket)


def test_a_closed_port_is_told_as_such(tmp_path: Path, gateway: Gateway, bucket: str, story: Story) -> None:
    gateway.close()
    story.keep(story.scans(1))
    status = forward(tmp_path, target(tmp_path, gateway, bucket)).status
    assert (status.state, status.reason) == (
        ForwardState.WAITING,
        f"{gateway.url} cannot be reached (Connection refused)",
    )


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_not_asked_before_the_time_it_said(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story, status: int
) -> None:
    gateway.refuse(status, Retry_After="1")
    with running(tmp_path, target(tmp_path, gateway, bucket)) as (forwarder, told):
        story.keep(story.scans(60))
        until(lambda: forwarder.status.lines >= 125)
    first, second = gateway.writes[:2]
    assert (first.status, second.status) == (status, 204)
    assert 1.0 <= second.at - first.at < 2.0
    assert told[0].state is ForwardState.WAITING
    assert f"answers {status}" in told[0].reason
    assert_equal(tmp_path, server, bucket)


def test_a_date_is_obeyed_too(tmp_path: Path, gateway: Gateway, bucket: str, story: Story) -> None:
    until_t = LiveClock().wall() / 1e9 + 2.0
    gateway.refuse(503, Retry_After=formatdate(until_t, usegmt=True))
    story.keep(story.scans(1))
    with running(tmp_path, target(tmp_path, gateway, bucket)) as (forwarder, _):
        until(lambda: forwarder.status.lines > 0)
        assert LiveClock().wall() / 1e9 >= int(until_t)


def test_pauses_grow_and_are_spread(tmp_path: Path, gateway: Gateway, bucket: str, story: Story) -> None:
    gateway.refuse(500, times=4)
    story.keep(story.scans(1))
    with running(tmp_path, target(tmp_path, gateway, bucket, longest_pause_s=10.0)) as (forwarder, _):
        until(lambda: forwarder.status.lines > 0)
    times = [write.at for write in gateway.writes]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    for i, pause in enumerate(pauses[:4]):
        assert 0.125 * 2**i <= pause < 0.25 * 2**i + 0.5


def test_a_worker_that_is_killed_at_any_moment_leaves_nothing_out(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    to = target(tmp_path, gateway, bucket, batch_lines=7)
    chance = random.Random(20)
    story.keep(story.scans(400))
    pause = threading.Event()
    for _ in range(4):
        story.keep(story.scans(10))  # so that there is something to send, whatever the one before has sent
        before = len(gateway.writes)
        worker = Worker(tmp_path, to)
        until(lambda before=before: len(gateway.writes) > before)  # type: ignore[misc]
        story.keep(story.scans(10))
        pause.wait(chance.uniform(0.0, 0.15))
        worker.kill()
    worker = Worker(tmp_path, to)
    assert worker.finish() == 0
    assert worker.statuses[-1].oldest is None
    assert assert_equal(tmp_path, server, bucket) == 480 * 5


def killed_and_sealed(data: Path, gateway: Gateway, bucket: str, story: Story, rounds: int) -> None:
    """Kill a worker at random moments while readings come in and are sealed, forwarded or not."""
    to = target(data, gateway, bucket, batch_lines=11)
    chance, pause = random.Random(rounds), threading.Event()
    story.keep(story.scans(60))
    for number in range(rounds):
        story.keep(story.scans(4))
        worker = Worker(data, to)
        if number % 2 == 0:
            before = len(gateway.writes)
            until(lambda before=before: len(gateway.writes) > before)  # type: ignore[misc]
        seal_all(story.directory / "2026-03.db")
        story.keep(story.scans(4))
        pause.wait(chance.uniform(0.0, 0.15))
        worker.kill()
    assert Worker(data, to).finish() == 0


def test_what_is_sealed_between_kills_arrives_all_the_same(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    killed_and_sealed(tmp_path, gateway, bucket, story, 4)
    assert assert_equal(tmp_path, server, bucket) == (60 + 4 * 8) * 5


@pytest.mark.full
@pytest.mark.timeout(900)
def test_killed_at_100_moments_between_seals_everything_arrives(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    killed_and_sealed(tmp_path, gateway, bucket, story, 100)
    assert assert_equal(tmp_path, server, bucket) == (60 + 100 * 8) * 5


def test_the_worker_ends_with_its_engine(tmp_path: Path, gateway: Gateway, bucket: str, story: Story) -> None:
    gateway.close()
    story.keep(story.scans(1))
    worker = Worker(tmp_path, target(tmp_path, gateway, bucket, longest_pause_s=60.0))
    until(lambda: any(status.state is ForwardState.WAITING for status in worker.statuses))
    assert worker.abandon() == 0


def test_asked_to_finish_it_does_not_wait_for_a_server_that_is_away(
    tmp_path: Path, gateway: Gateway, bucket: str, story: Story
) -> None:
    gateway.close()
    story.keep(story.scans(1))
    worker = Worker(tmp_path, target(tmp_path, gateway, bucket, longest_pause_s=60.0))
    assert worker.finish() == 0
    assert worker.statuses[-1].state is ForwardState.WAITING


def test_bad_lines_are_found_and_set_aside_and_the_rest_arrives(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    scans = story.scans(40)
    bad = [scans[8], scans[30], scans[31]]
    for one in bad:
        one.value[:] = 0.0
        one.quality[:] = 0
    # The server knows a field of that name as a text, at that time only.
    story.keep(one for one in scans if one not in bad)
    to = target(tmp_path, gateway, bucket)
    forward(tmp_path, to)
    story.close()
    _bad_names(story, [one.t for one in bad])
    story.keep(story.scans(5))
    forwarder = forward(tmp_path, to)
    assert forwarder.status.quarantined == 3
    assert forwarder.status.oldest is None
    with closing(sqlite3.connect(tmp_path / CURSOR_FILE)) as db:
        rows = db.execute("SELECT t, reason, line FROM quarantine ORDER BY t").fetchall()
    assert [t for t, _, _ in rows] == sorted(one.t for one in bad)
    assert all("field type conflict" in reason and line.startswith(b"readings,") for _, reason, line in rows)
    marks = server.rows(bucket, "SELECT * FROM quarantined")
    assert sorted(int(str(row["time"])) for row in marks) == sorted({one.t for one in bad})
    good = server.rows(bucket, 'SELECT "STEP" FROM readings')
    assert len(good) == len([one for one in scans if one not in bad and one.group == "engine"]) + 5


def _bad_names(story: Story, times: list[int]) -> None:
    """Frames of a plant whose temperature has become a text."""
    tags = TagTable([Tag("TEMP", 0, "", TagKind.TEXT, 0.0, 0.0)])
    path = next(story.directory.glob("*.db"))
    with closing(MonthFile(path, tags, LiveClock())) as file:
        for t in times:
            file.write([frame(t, [tags.code_of("hot")], group="skid")])


def test_a_reading_that_does_not_fit_its_kind_is_set_aside_alone(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    story.keep(
        [
            frame(START, [36.5, float("inf"), 1.5], index=[0, 1, 2]),
            frame(START + 1, [99.0], index=[4], group="engine"),
            frame(START + 2, [36.6, 2.0, 1e300], index=[0, 1, 2]),
        ]
    )
    assert forward(tmp_path, target(tmp_path, gateway, bucket)).status.quarantined == 4
    with closing(sqlite3.connect(tmp_path / CURSOR_FILE)) as db:
        reasons = [reason for (reason,) in db.execute("SELECT reason FROM quarantine ORDER BY id")]
    assert reasons == [
        "FLOW: it is infinite",
        "COUNT: 1.5 is not an integer",
        "STEP: there is no text behind 99",
        "COUNT: 1e+300 is no int64",
    ]
    rows = server.rows(bucket, "SELECT TEMP, FLOW, COUNT, COUNT__q FROM readings WHERE \"group\" = 'skid'")
    assert [(row["TEMP"], row["FLOW"], row["COUNT"], row["COUNT__q"]) for row in rows] == [
        ("36.5", None, None, "0"),
        ("36.6", "2", None, "0"),
    ]


def test_a_server_that_calls_everything_wrong_does_not_empty_the_history_into_quarantine(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    story.keep(story.scans(30))
    gateway.refuse(400, times=20)
    with running(tmp_path, target(tmp_path, gateway, bucket)) as (forwarder, told):
        until(lambda: forwarder.status.lines >= 65)
    assert any("calls every line wrong" in status.reason for status in told)
    assert forwarder.status.quarantined == 0
    assert_equal(tmp_path, server, bucket)


def test_a_wrong_token_is_a_state_and_the_right_one_is_taken_up(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    to = target(tmp_path, gateway, bucket)
    Path(to.token_file).write_text("another-token", encoding="utf-8")
    story.keep(story.scans(10))
    with running(tmp_path, to) as (forwarder, told):
        until(lambda: forwarder.status.state is ForwardState.REFUSED)
        assert "the token is not known there (401: unauthorized access)" in forwarder.status.reason
        Path(to.token_file).write_text(f"{gateway.token}\n", encoding="utf-8")
        until(lambda: forwarder.status.state is ForwardState.FORWARDING)
    assert not any("another-token" in status.reason or gateway.token in status.reason for status in told)
    assert_equal(tmp_path, server, bucket)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bucket": "nobody made it"}, "there is no bucket 'nobody made it' of organisation 'lab' there (404: "),
        ({"org": "other"}, "there is no bucket 'x' of organisation 'other' there (404: "),
        ({"token_file": "", "token_env": "NO_SUCH_VARIABLE"}, "no token: the environment variable NO_SUCH_VARIABLE"),
        ({"token_file": "/nowhere/token"}, "no token: /nowhere/token: No such file or directory"),
    ],
)
def test_what_only_a_person_can_mend_is_told_and_not_hammered(
    tmp_path: Path, gateway: Gateway, story: Story, change: dict[str, str], reason: str
) -> None:
    story.keep(story.scans(10))
    to = replace(target(tmp_path, gateway, "x", longest_pause_s=60.0), **change)
    with running(tmp_path, to) as (forwarder, _):
        until(lambda: forwarder.status.state is ForwardState.REFUSED)
        assert forwarder.status.reason.startswith(reason)
    assert len(gateway.writes) <= 1


def test_an_answer_of_something_else_does_not_count(
    tmp_path: Path, gateway: Gateway, bucket: str, story: Story
) -> None:
    story.keep(story.scans(1))
    gateway.refuse(200)
    status = forward(tmp_path, target(tmp_path, gateway, bucket)).status
    assert (status.state, status.lines) == (ForwardState.REFUSED, 0)
    assert "it is no InfluxDB write address" in status.reason


def test_a_peer_that_speaks_nonsense_is_waited_for(tmp_path: Path, gateway: Gateway, bucket: str, story: Story) -> None:
    story.keep(story.scans(1))
    with socket.create_server((LOOPBACK, 0)) as listener:

        def talk() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(10_000)
                peer.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        to = replace(target(tmp_path, gateway, bucket), url=f"http://{LOOPBACK}:{listener.getsockname()[1]}")
        assert forward(tmp_path, to).status.state is ForwardState.WAITING
        thread.join()


def test_simulated_readings_never_reach_the_production_bucket_nor_real_ones_the_other(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str
) -> None:
    simulated_bucket = f"{bucket} (simulated)"
    server.create(simulated_bucket)
    for simulated in (True, False, True):
        with closing(Story(tmp_path, simulated=simulated, start=LiveClock().now())) as story:
            story.keep(story.scans(10))
    for name, simulated in ((bucket, False), (simulated_bucket, True)):
        forward(tmp_path, target(tmp_path, gateway, name, simulated=simulated))
    for name, mark, scans in ((bucket, "false", 10), (simulated_bucket, "true", 20)):
        lines = [line for write in gateway.writes if write.bucket == name for line in write.lines if b"plant=" in line]
        assert lines
        assert all(f"simulated={mark}".encode() in line for line in lines)
        assert len(server.rows(name, "SELECT TEMP__q FROM readings")) == scans


def test_another_bucket_gets_everything_from_the_beginning(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    story.keep(story.scans(10))
    forward(tmp_path, target(tmp_path, gateway, bucket))
    server.create(f"{bucket} 2")
    forward(tmp_path, target(tmp_path, gateway, f"{bucket} 2"))
    assert_equal(tmp_path, server, f"{bucket} 2")


def test_another_history_under_the_same_name_is_sent_from_its_beginning(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    to = target(tmp_path, gateway, bucket)
    story.keep(story.scans(10))
    forward(tmp_path, to)
    story.close()
    for path in story.directory.iterdir():
        path.unlink()
    with closing(Story(tmp_path, start=story.t, seed=8)) as other:
        other.keep(other.scans(30))
    assert forward(tmp_path, to).status.lines == 30 * 2 + 5
    assert len(server.rows(bucket, "SELECT TEMP__q FROM readings")) == 40


def test_a_damaged_month_is_told_and_the_others_arrive(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    story.keep(story.scans(10))
    (story.directory / "2026-02.db").write_bytes(b"this is no database, though it has the name of one" * 100)
    status = forward(tmp_path, target(tmp_path, gateway, bucket)).status
    assert "damaged and left out: 2026-02.db" in status.reason
    assert len(server.rows(bucket, "SELECT TEMP__q FROM readings")) == 10


def test_a_damaged_cursor_is_told_with_its_remedy(tmp_path: Path, gateway: Gateway, bucket: str, story: Story) -> None:
    story.keep(story.scans(1))
    (tmp_path / CURSOR_FILE).write_bytes(b"this is no database, though it has the name of one" * 100)
    status = forward(tmp_path, target(tmp_path, gateway, bucket)).status
    assert status.state is ForwardState.REFUSED
    assert "forward.db is damaged" in status.reason
    assert "delete it while no engine runs" in status.reason


def test_a_history_of_an_earlier_version_is_forwarded_as_real(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    story.keep([*story.scans(5), Gap(START, START + 1, "long ago")])
    story.close()
    with closing(sqlite3.connect(next(story.directory.glob("*.db")))) as db:
        db.execute("ALTER TABLE sessions DROP COLUMN simulated")
        db.execute("ALTER TABLE gaps DROP COLUMN session")
        db.commit()
    to = target(tmp_path, gateway, bucket)
    forward(tmp_path, to)
    assert assert_equal(tmp_path, server, bucket) == 25
    story.keep([*story.scans(5), Gap(START + 2, START + 3, "now")])
    forward(tmp_path, to)
    assert assert_equal(tmp_path, server, bucket) == 50


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
floats = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.integers(-(2**53), 2**53)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(words, floats, numbers, st.integers(0, 2**32 - 1)), min_size=1, max_size=40))
def test_any_text_and_any_number_arrive_as_they_are(
    tmp_path_factory: pytest.TempPathFactory,
    server: InfluxServer,
    gateway: Gateway,
    readings: list[tuple[str, float, int, int]],
) -> None:
    data = tmp_path_factory.mktemp("any")
    bucket = data.name
    server.create(bucket)
    with closing(Story(data)) as story:
        for i, (text, number, count, quality) in enumerate(readings):
            code = story.tags.code_of(text)
            story.keep([frame(START + i, [number, count, code], [quality, 0, 0], index=[0, 2, 4])])
    assert forward(data, target(data, gateway, bucket)).status.quarantined == 0
    assert_equal(data, server, bucket)


def test_a_bad_reading_has_a_quality_and_no_value(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, bucket: str, story: Story
) -> None:
    story.keep([frame(START, [21.5, 3.0], [BAD_NOT_CONNECTED, 0], index=[0, 1])])
    forward(tmp_path, target(tmp_path, gateway, bucket))
    (row,) = server.rows(bucket, "SELECT TEMP__q, FLOW, FLOW__q FROM readings")
    assert (row["TEMP__q"], row["FLOW"], row["FLOW__q"]) == (str(BAD_NOT_CONNECTED), "3", "0")
    assert {str(r["fieldKey"]) for r in server.rows(bucket, "SHOW FIELD KEYS FROM readings")} == {
        "TEMP__q", "FLOW", "FLOW__q",
    }  # fmt: skip
