"""Forced values over the API: role and reason, everything acts on them, and nobody can overlook them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.quality import GOOD_LOCAL_OVERRIDE
from tests.api.served import PASSWORD, Served, serve
from tests.api.test_routes_interlocks import refused

TAG = "TFF201.PT_FEED"


def test_a_value_is_forced_by_a_tester_and_everything_acts_on_it(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        served.engine.people.add("tess", "Tess Tester", ["engineer"], PASSWORD)
        engine = served.engine
        async with served.signed_on("oscar") as operator:
            await refused(operator.force_tag(TAG, 20.0, 60.0, "try"), 403, "force")
        async with served.signed_on("tess") as tester:
            await refused(tester.force_tag("TFF201.NONE", 1.0, 60.0, "try"), 404, "no tag")
            await refused(tester.force_tag("TFF201.PCV101_SP", 1.0, 60.0, "try"), 409, "actuator")
            await refused(tester.force_tag("TFF201.TMP", 1.0, 60.0, "try"), 409, "worked out from")
            await tester.force_tag(TAG, 50.0, 60.0, "is it seen")
            await served.until(lambda: engine.image.reading(TAG) == (50.0, GOOD_LOCAL_OVERRIDE))
            assert engine.image.reading("TFF201.TMP").quality == GOOD_LOCAL_OVERRIDE
            assert engine.image.reading("TFF201.TMP").value > 20.0
            await served.until(lambda: engine.alarms.is_active("SYS.VALUE_FORCED"))
            assert engine.image.reading("SYS.FORCED").value == 1.0
            await tester.end_force(TAG, "it is")
            await served.until(lambda: engine.image.reading(TAG).quality != GOOD_LOCAL_OVERRIDE)
            await refused(tester.end_force(TAG, "again"), 409, "is not forced")
            engine.plant = dataclasses.replace(engine.plant, simulated=False)
            await tester.force_tag(TAG, 1.0, 60.0, "on real equipment")
            assert f"{TAG} is forced by user:tess: end that first" in engine.blockers("TFF201")
        assert [(e.actor, e.body["tag"], e.body["value"]) for e in served.events(Kind.VALUE_FORCED)] == [
            ("user:tess", TAG, 50.0),
            ("user:tess", TAG, 1.0),
        ]

    serve(tmp_path, work)


def test_no_forced_value_outlives_the_engine(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        served.engine.people.add("tess", "Tess Tester", ["engineer"], PASSWORD)
        async with served.signed_on("tess") as tester:
            await tester.force_tag(TAG, 1.0, 600.0, "left standing")

    serve(tmp_path, work)
    ended = [event for event in read_events(tmp_path / "journal") if event.kind is Kind.VALUE_FORCE_ENDED]
    assert [(event.actor, event.body["reason"]) for event in ended] == [("engine", "the engine stops")]
