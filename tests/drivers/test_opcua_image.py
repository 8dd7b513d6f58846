"""What an OPC UA driver knows of its points: reported, asked for, and never older than a write."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import BoundPoint
from drivers.opcua_image import Counts, Image
from drivers.opcua_points import DataType, OpcUaPoint
from drivers.opcua_session import Missing, Node, Sample
from evcontrol.quality import BAD_CONFIGURATION, BAD_WAITING_FOR_INITIAL, GOOD
from tests.drivers.build import tag

OVERFLOW = 0x0480


class Session:
    """Nothing is asked of it here."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[str] = asyncio.Future(loop=asyncio.new_event_loop())
        self.lost.get_loop().close()


def image(*there: bool, counts: Counts | None = None) -> Image:
    bound = [BoundPoint(tag(i, f"t{i}"), OpcUaPoint(node=f"n{i}")) for i in range(len(there))]
    nodes = [Node(i, DataType.DOUBLE) if is_there else Missing("none") for i, is_there in enumerate(there)]
    session: Any = Session()
    return Image(session, bound, nodes, counts or Counts())


def good(value: float, t: int = 1) -> Sample:
    return Sample(value, GOOD, t)


def settled(*there: bool, counts: Counts | None = None) -> Image:
    one = image(*there, counts=counts)
    asked = one.to_ask()
    one.take(asked, [good(0.0)] * len(asked), 1.0)
    return one


def test_at_first_there_is_no_reading_and_everything_that_is_there_is_asked_for() -> None:
    one = image(True, False, True)
    assert one.quality.tolist() == [BAD_WAITING_FOR_INITIAL, BAD_CONFIGURATION, BAD_WAITING_FOR_INITIAL]
    assert all(math.isnan(value) for value in one.value)
    assert one.to_ask() == [0, 2]
    one.take([0, 2], [good(1.0), good(2.0)], 5.0)
    assert one.to_ask() == []
    assert one.value[[0, 2]].tolist() == [1.0, 2.0]


def test_of_several_samples_the_last_stays_with_its_own_time() -> None:
    one = settled(False, True)
    one.on_samples([(0, good(1.0, 10)), (0, good(2.0, 20))])
    assert one.value[1] == 2.0
    assert one.source_t(99).tolist() == [99, 20]


def test_what_is_reported_of_a_point_that_was_written_is_passed_over_until_it_must_be_younger() -> None:
    one = settled(True, True)
    one.ask_until([0], math.inf)
    one.on_samples([(0, good(1.0)), (1, good(1.0))])
    assert one.value.tolist() == [0.0, 1.0]
    one.ask_until([0], 10.0)
    one.take([0], [good(5.0)], 9.0)
    one.on_samples([(0, good(1.0))])
    assert one.value[0] == 5.0
    assert one.to_ask() == [0]
    one.asking([0])
    one.take([0], [good(6.0)], 10.0)
    one.on_samples([(0, good(7.0))])
    assert one.value[0] == 7.0
    assert one.to_ask() == []


def test_a_point_that_is_not_reported_is_always_asked_for() -> None:
    one = settled(True, True)
    one.unreported = {1}
    one.take([1], [good(3.0)], 9.0)
    assert one.to_ask() == [1]


def test_after_a_gap_everything_is_asked_for_once_and_counted() -> None:
    counts = Counts()
    one = settled(True, False, True, counts=counts)
    one.ask_until([0], 20.0)
    one.on_gap()
    assert one.to_ask() == [0, 2]
    one.asking([0, 2])
    one.take([0, 2], [good(1.0), good(1.0)], 10.0)
    assert one.to_ask() == [0]
    assert counts.gaps == 1


def test_a_point_of_which_something_else_is_reported_between_question_and_answer_is_asked_for_again() -> None:
    one = image(True, True)
    one.asking([0, 1])
    one.on_samples([(0, good(2.0)), (1, good(1.0))])
    one.take([0, 1], [good(1.0), good(1.0)], 5.0)
    assert one.to_ask() == [0]
    one.asking([0])
    one.take([0], [good(2.0)], 6.0)
    assert one.to_ask() == []
    assert one.value.tolist() == [2.0, 1.0]


def test_what_is_lost_between_question_and_answer_is_asked_for_again() -> None:
    one = image(True)
    one.asking([0])
    one.on_gap()
    one.take([0], [good(1.0)], 5.0)
    assert one.to_ask() == [0]
    one.asking([0])
    one.take([0], [good(1.0)], 6.0)
    assert one.to_ask() == []


def test_overflows_are_counted_and_not_shown() -> None:
    counts = Counts()
    one = settled(True, counts=counts)
    one.on_samples([(0, Sample(1.0, OVERFLOW, 1)), (0, Sample(2.0, GOOD, 2))])
    assert (one.value[0], one.quality[0], counts.overflows) == (2.0, GOOD, 1)


def test_a_number_that_nobody_gave_out_is_passed_over() -> None:
    one = settled(True)
    one.on_samples([(7, good(1.0)), (-1, good(1.0))])
    assert one.value[0] == 0.0


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("report"), st.integers(0, 9)),
        st.tuples(st.just("write"), st.integers(0, 9)),
        st.tuples(st.just("ask"), st.just(0)),
        st.tuples(st.just("gap"), st.just(0)),
    ),
    max_size=40,
)


@given(ACTIONS, st.integers(0, 5))
def test_after_a_write_no_older_value_is_ever_shown(actions: list[tuple[str, int]], latency: int) -> None:
    """The device samples at every step and reports ``latency`` steps later; every write makes a new value."""
    one = settled(True)
    truth, written, asked_since = [0], 0, True
    for now, (what, _) in enumerate(actions, 1):
        truth.append(truth[-1])
        if what == "write":
            written = truth[-1] = truth[-1] + 1
            asked_since = False
            one.ask_until([0], float(now + latency))
        elif what == "report":
            one.on_samples([(0, good(float(truth[max(0, now - latency)])))])
        elif what == "gap":
            one.on_gap()
        else:
            asked = one.to_ask()
            one.asking(asked)
            one.take(asked, [good(float(truth[-1]))] * len(asked), float(now))
            asked_since = True
        assert one.value[0] >= written or not asked_since
