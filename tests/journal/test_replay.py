"""Replaying the journal gives what the engine knew: tags, modules, trips, alarms, batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evcontrol.journal.events import ENGINE, Event, Kind
from evcontrol.journal.replay import ANSWER_KEY, TAG_KEY, PlantView

START = 1_700_000_000_000_000_000


class Story:
    """Events in the order in which they are told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, kind: Kind, body: Mapping[str, Any], batch: str = "", path: str = "") -> None:
        n = len(self.events)
        self.events.append(Event(n, START + n, START + n, kind, ENGINE.actor, "", batch, path, body))

    def view(self) -> PlantView:
        return PlantView(self.events)


def test_a_units_own_tags_outlive_the_phase_that_set_them() -> None:
    story = Story()
    story.tell(Kind.PHASE_PROGRESS, {"key": f"{TAG_KEY}U.CONTENT", "value": "water"}, "B-1", "a")
    story.tell(Kind.PHASE_PROGRESS, {"key": f"{TAG_KEY}U.CONTENT", "value": "product"}, "B-1", "b")
    assert story.view().tags == {"U.CONTENT": "product"}


def test_states_progress_answers_and_results_are_kept_by_path() -> None:
    story = Story()
    story.tell(Kind.BATCH_CREATED, {"recipe": {}}, "B-1")
    story.tell(Kind.STATE_CHANGED, {"old": "Idle", "new": "Running"}, "B-1")
    story.tell(Kind.STATE_CHANGED, {"old": "Idle", "new": "Running"}, "B-1", "load")
    story.tell(Kind.PHASE_PROGRESS, {"key": "target_g", "value": 812.4}, "B-1", "load")
    story.tell(Kind.PROMPT_ANSWERED, {"key": "empty", "value": True}, "B-1", "load")
    story.tell(Kind.PHASE_RESULT, {"name": "feed", "value": 800.0, "unit": "g"}, "B-1", "load")
    batch = story.view().batches["B-1"]
    assert batch.state == "Running"
    assert batch.states["load"] == "Running"
    assert batch.progress["load"] == {"target_g": 812.4, f"{ANSWER_KEY}empty": True}
    assert batch.results == [("load", "feed", 800.0, "g")]


def test_events_of_other_batches_do_not_mix() -> None:
    story = Story()
    for batch in ("B-1", "B-2"):
        story.tell(Kind.BATCH_CREATED, {"recipe": {}}, batch)
    story.tell(Kind.STATE_CHANGED, {"new": "Held"}, "B-2")
    view = story.view()
    assert (view.batches["B-1"].state, view.batches["B-2"].state) == ("Idle", "Held")


def test_a_module_keeps_its_first_permeability_over_uses() -> None:
    story = Story()
    installed = {"module": "SN-1", "type": "HF", "state": "in use", "uses": 1}
    story.tell(Kind.MODULE_INSTALLED, installed)
    story.tell(Kind.MODULE_CHANGED, {"module": "SN-1", "state": "in use", "nwp": 300.0})
    story.tell(Kind.MODULE_CHANGED, {"module": "SN-1", "state": "clean", "nwp": 280.0})
    story.tell(Kind.MODULE_INSTALLED, installed | {"uses": 2})
    module = story.view().modules["SN-1"]
    assert (module.uses, module.nwp_new, module.nwp, module.state) == (2, 300.0, 280.0, "in use")


def test_a_trip_stands_until_it_is_reset() -> None:
    story = Story()
    story.tell(Kind.INTERLOCK_TRIPPED, {"interlock": "U.A", "cause": "hot", "first_out": True})
    story.tell(Kind.INTERLOCK_TRIPPED, {"interlock": "U.B", "cause": "full", "first_out": False})
    story.tell(Kind.INTERLOCK_RESET, {"interlock": "U.A"})
    assert list(story.view().trips) == ["U.B"]


def test_an_unsigned_reconciliation_keeps_what_was_expected() -> None:
    story = Story()
    story.tell(Kind.BATCH_CREATED, {"recipe": {}}, "B-1")
    story.tell(Kind.RECONCILIATION_SHOWN, {"tags": {"U.WT": 812.4}}, "B-1")
    assert story.view().batches["B-1"].unsigned == {"U.WT": 812.4}
    story.tell(Kind.SIGNATURE, {"user": "olivia", "subject": "jump to a of B-1"}, "B-1")
    assert story.view().batches["B-1"].unsigned == {"U.WT": 812.4}
    story.tell(Kind.SIGNATURE, {"user": "olivia", "subject": "reconciliation of B-1"}, "B-1")
    assert story.view().batches["B-1"].unsigned == {}


def test_an_engine_that_did_not_say_that_it_stops_has_died() -> None:
    story = Story()
    story.tell(Kind.ENGINE_STARTED, {})
    assert not story.view().stopped_orderly
    story.tell(Kind.ENGINE_STOPPED, {})
    assert story.view().stopped_orderly


def test_people_added_while_no_engine_runs_do_not_shorten_an_outage() -> None:
    story = Story()
    story.tell(Kind.ENGINE_STARTED, {})
    story.tell(Kind.USER_ADDED, {"user": "olivia"})
    assert story.view().last_t == START
