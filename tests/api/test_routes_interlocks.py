"""Interlocks over the API: bypassed with a signature, always visible, over a restart; the cause-and-effect table."""

from pathlib import Path

import pytest

from evcontrol.api.client import ApiError
from evcontrol.api.schema import InterlockView
from evcontrol.journal.events import Kind
from tests.api.served import PASSWORD, Served, serve

NAME = "TFF201.PERMEATE_MISMATCH"


async def refused(call: object, status: int, match: str) -> None:
    with pytest.raises(ApiError, match=match) as error:
        await call  # type: ignore[misc]
    assert error.value.status == status


async def shown(served: Served) -> InterlockView:
    async with served.client() as reader:
        return next(one for one in await reader.interlocks() if one.interlock == NAME)


def bypassed(served: Served) -> float:
    return float(served.engine.image.reading("SYS.BYPASSED").value)


def test_a_bypass_takes_a_role_a_reason_a_signature_and_a_time_that_the_plant_allows(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on("oscar") as operator:
            await refused(operator.bypass_interlock(NAME, 60.0, "flow meter is changed", PASSWORD), 403, "bypass")
        async with served.signed_on() as client:
            await refused(client.bypass_interlock("TFF201.NONE", 60.0, "why", PASSWORD), 404, "no interlock")
            await refused(client.bypass_interlock("TFF201.HIGH_TMP", 60.0, "why", PASSWORD), 409, "may not be bypassed")
            await refused(client.bypass_interlock(NAME, 1801.0, "why", PASSWORD), 409, "1800 s at most")
            await refused(client.bypass_interlock(NAME, 60.0, "why", "a wrong password"), 403, "password")
            assert (await shown(served)).bypassed_until == 0
            await client.bypass_interlock(NAME, 60.0, "flow meter is changed", PASSWORD)
            view = await shown(served)
            assert view.bypassed_until > served.clock.now()
            assert (view.bypassed_by, view.bypass_reason) == ("user:olivia", "flow meter is changed")
            await served.until(lambda: bypassed(served) == 1.0)
            await served.until(lambda: any(a.spec.name == "SYS.INTERLOCK_BYPASSED" and a.state.value == "unacknowledged"
                                           for a in served.engine.alarms.states()))  # fmt: skip
            await client.end_bypass(NAME, "it is in place")
            await served.until(lambda: bypassed(served) == 0.0)
            await refused(client.end_bypass(NAME, "again"), 409, "is not bypassed")
        signature = served.events(Kind.SIGNATURE)[-1]
        assert (signature.body["meaning"], signature.body["subject"]) == ("bypass of an interlock", f"interlock {NAME}")
        assert [e.actor for e in served.events(Kind.INTERLOCK_BYPASS_ENDED)] == ["user:olivia"]

    serve(tmp_path, work)


def test_a_bypass_goes_on_over_a_restart_of_the_engine(tmp_path: Path) -> None:
    until: list[int] = []

    async def begin(served: Served) -> None:
        async with served.signed_on() as client:
            await client.bypass_interlock(NAME, 1800.0, "flow meter is changed", PASSWORD)
        until.append((await shown(served)).bypassed_until)

    async def after(served: Served) -> None:
        assert (await shown(served)).bypassed_until == until[0]

    serve(tmp_path, begin)
    (tmp_path / "people.json").unlink()  # the same people are added anew
    serve(tmp_path, after)


def test_the_cause_and_effect_table_is_that_of_the_plant(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.client() as reader:
            causes = await reader.cause_and_effect()
        assert [cause.interlock for cause in causes] == list(served.plant.interlocks)
        assert next(c for c in causes if c.interlock == "TFF201.HIGH_TMP").effects["TFF201.PCV101_SP"] == "100 %open"

    serve(tmp_path, work)
