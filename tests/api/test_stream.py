"""The stream's merging: nobody waits, nothing grows, the latest wins."""

import asyncio
from collections.abc import Mapping

import numpy as np
import orjson
import pytest

from evcontrol.acquisition.image import ProcessImage
from evcontrol.api.schema import LinkView, Topic
from evcontrol.api.stream import Body, Hub, Key, Subscriber
from evcontrol.clock import LiveClock
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD
from evcontrol.signals import Tag, TagKind, TagTable, make_frame


class Plant:
    """Two analog tags and a text, with the hub that publishes them."""

    def __init__(self) -> None:
        nan = float("nan")
        tags = TagTable(
            [
                Tag("U.A", 0, "psi", TagKind.ANALOG, 0, 10),
                Tag("U.B", 1, "g", TagKind.ANALOG, 0, 10),
                Tag("U.PHASE", 2, "", TagKind.TEXT, nan, nan),
            ]
        )
        self.image = ProcessImage(tags, ["U.PHASE"])
        self.links = [LinkView(device="d", state="ready", reason="", since=0)]
        self.hub = Hub(self.image, LiveClock(), asyncio.Event().wait, self.topics)

    def topics(self) -> Mapping[Key, Body]:
        return {(Topic.LINKS, ""): list(self.links)}

    def scan(self, *readings: tuple[int, float, int]) -> None:
        self.image.apply(make_frame(1, 1, "g", list(readings)))
        self.hub.publish()


def taken(subscriber: Subscriber) -> list[dict[str, object]]:
    return [orjson.loads(message) for message in asyncio.run(subscriber.take())]


def test_a_new_client_gets_everything_first() -> None:
    plant = Plant()
    plant.scan((0, 1.5, GOOD))
    with plant.hub.subscribe() as subscriber:
        links, delta = taken(subscriber)
    assert links["topic"] == "links"
    assert delta["i"] == [0, 1, 2]
    assert delta["v"] == [1.5, None, None]


def test_a_delta_has_only_what_changed_and_null_for_bad() -> None:
    plant = Plant()
    plant.scan((0, 1.5, GOOD), (1, 2.0, GOOD))
    with plant.hub.subscribe() as subscriber:
        taken(subscriber)
        plant.scan((0, 1.5, GOOD), (1, 2.0, BAD_NOT_CONNECTED))
        (delta,) = [m for m in taken(subscriber) if "i" in m]
    assert (delta["i"], delta["v"], delta["q"]) == ([1], [None], [BAD_NOT_CONNECTED])


def test_a_text_tag_travels_as_its_text() -> None:
    plant = Plant()
    with plant.hub.subscribe() as subscriber:
        taken(subscriber)
        plant.image.set_internal("U.PHASE", "flush/rinse")
        plant.hub.publish()
        (delta,) = [m for m in taken(subscriber) if "i" in m]
    assert (delta["i"], delta["v"]) == ([2], ["flush/rinse"])


def test_a_scan_without_changes_is_still_a_sign_of_life() -> None:
    plant = Plant()
    with plant.hub.subscribe() as subscriber:
        taken(subscriber)
        plant.hub.publish()
        assert any(message.get("i") == [] for message in taken(subscriber))


def test_one_encoding_serves_every_client_that_keeps_up() -> None:
    plant = Plant()
    with plant.hub.subscribe() as one, plant.hub.subscribe() as other:
        asyncio.run(one.take())
        asyncio.run(other.take())
        plant.scan((0, 3.0, GOOD))
        assert asyncio.run(one.take())[-1] is asyncio.run(other.take())[-1]


def test_a_slow_client_gets_the_latest_of_all_it_missed_in_one_message() -> None:
    plant = Plant()
    with plant.hub.subscribe() as slow, plant.hub.subscribe() as quick:
        taken(slow)
        taken(quick)
        for i in range(1000):
            plant.scan((0, float(i), GOOD), *([(1, 7.0, GOOD)] if i == 3 else []))
            taken(quick)
        messages = [m for m in taken(slow) if "i" in m]
    assert len(messages) == 1
    assert dict(zip(messages[0]["i"], messages[0]["v"], strict=True)) == {0: 999.0, 1: 7.0}  # type: ignore[call-overload]


def test_a_topic_is_sent_again_only_when_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evcontrol.api.stream.TOPICS_EVERY_S", 0.0)
    plant = Plant()
    with plant.hub.subscribe() as subscriber:
        taken(subscriber)
        plant.hub.publish()
        taken(subscriber)
        plant.hub.publish()
        assert not [m for m in taken(subscriber) if "topic" in m]
        plant.links = [LinkView(device="d", state="disconnected", reason="no answer in time", since=5)]
        plant.hub.publish()
        (event,) = [m for m in taken(subscriber) if "topic" in m]
    expected = {
        "device": "d",
        "state": "disconnected",
        "reason": "no answer in time",
        "since": 5,
        "reconnects": 0,
        "units": [],
    }
    assert event["body"] == [expected]


def test_nothing_is_encoded_while_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant()

    def forbidden(*_: object) -> Mapping[Key, Body]:
        raise AssertionError("topics were asked for")

    monkeypatch.setattr(plant.hub, "_topics", forbidden)
    plant.image.value[0] = np.float64(1.0)
    plant.hub.publish()
