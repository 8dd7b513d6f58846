"""The plant: everything at this moment, and what a person may command by hand."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from evcontrol.access.permission import Permission
from evcontrol.api import views
from evcontrol.api.desk import Desk
from evcontrol.api.guard import Reader, Signed, TheDesk, may
from evcontrol.api.problem import RefusedError
from evcontrol.api.schema import (
    CommandReply,
    ForceRequest,
    LoopChange,
    LoopView,
    ModeChange,
    Snapshot,
    TagCommand,
    WithReason,
)
from evcontrol.control.loop import LoopState
from evcontrol.control.owner import Mode

router = APIRouter(prefix="/api")
Commander = Annotated[Signed, Depends(may(Permission.COMMAND))]
Tester = Annotated[Signed, Depends(may(Permission.FORCE))]


@router.get("/snapshot", dependencies=[Reader])
async def snapshot(desk: TheDesk) -> Snapshot:
    """Everything at this moment."""
    return desk.snapshot()


@router.post("/tags/{tag}")
async def command_tag(tag: str, body: TagCommand, signed: Commander, desk: TheDesk) -> CommandReply:
    """Command a tag by hand; the answer comes when the write is proven, refused or given up."""
    _known("tag", tag, tag in desk.engine.plant.tags)
    result = await desk.engine.gate.command(tag, body.value, signed.origin, body.reason)
    return CommandReply(
        tag=tag, outcome=result.outcome.value, reason=result.reason, read_back=result.read_back.get(tag)
    )


@router.post("/tags/{tag}/hand-back", status_code=204)
async def hand_back_tag(tag: str, body: WithReason, signed: Commander, desk: TheDesk) -> None:
    """Give a tag back to the loop or phase that it was taken from by a command by hand."""
    _known("tag", tag, tag in desk.engine.plant.writes)
    desk.engine.gate.hand_back(tag, signed.origin, body.reason)
    await desk.engine.journal.flush()


@router.post("/tags/{tag}/force", status_code=204)
async def force_tag(tag: str, body: ForceRequest, signed: Tester, desk: TheDesk) -> None:
    """Put a value in place of what is read, for a time; on real equipment not beside a batch."""
    _known("tag", tag, tag in desk.engine.plant.tags)
    desk.engine.forced.force(tag, body.value, body.duration_s, signed.origin, body.reason)
    await desk.engine.journal.flush()


@router.post("/tags/{tag}/force/end", status_code=204)
async def end_force(tag: str, body: WithReason, signed: Commander, desk: TheDesk) -> None:
    """Let the reading of a tag through again."""
    _known("tag", tag, tag in desk.engine.plant.tags)
    desk.engine.forced.end(tag, signed.origin, body.reason)
    await desk.engine.journal.flush()


@router.post("/loops/{loop}")
async def change_loop(loop: str, body: LoopChange, signed: Commander, desk: TheDesk) -> LoopView:
    """Put a loop in automatic with a setpoint, or in manual; not while its unit is in automatic mode."""
    loops = desk.engine.loops
    _known("loop", loop, loop in desk.engine.plant.loops)
    _check_mode(desk, loop)
    runs = views.loop_view(_state(desk, loop)).mode == "auto"
    try:
        if body.mode == "manual":
            loops.stop(loop, signed.origin, body.reason)
        elif runs:
            loops.change(loop, body.setpoint, signed.origin, body.reason)
        elif body.setpoint is None:
            raise RefusedError(422, f"loop {loop} does not run: a setpoint is needed", "Send `setpoint`.")
        else:
            loops.start(loop, body.setpoint, signed.origin)
    except ValueError as error:
        raise RefusedError(409, str(error)) from None
    await desk.engine.journal.flush()
    return views.loop_view(_state(desk, loop))


@router.post("/units/{unit}/mode", status_code=204)
async def change_mode(unit: str, body: ModeChange, signed: Commander, desk: TheDesk) -> None:
    """Change a unit's mode: automatic, semi-automatic or manual."""
    _known("unit", unit, unit in desk.engine.plant.units)
    if body.mode not in list(Mode):
        raise RefusedError(422, f"{body.mode!a} is no mode", f"Choose from {', '.join(Mode)}.")
    await desk.engine.set_mode(unit, Mode(body.mode), signed.origin, body.reason)


def _check_mode(desk: Desk, loop: str) -> None:
    unit = desk.engine.plant.loops[loop].unit
    if desk.engine.gate.mode(unit) is Mode.AUTOMATIC:
        what = f"{loop}: {unit} is in automatic mode, in which only phases have its loops"
        raise RefusedError(409, what, f"Set {unit} to semi-automatic or manual first.")


def _state(desk: Desk, loop: str) -> LoopState:
    return next(state for state in desk.engine.loops.states() if state.spec.name == loop)


def _known(kind: str, name: str, there: bool) -> None:
    if not there:
        raise RefusedError(404, f"the plant has no {kind} {name!a}", "GET /api/snapshot lists what it has.")
