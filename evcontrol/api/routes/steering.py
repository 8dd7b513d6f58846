"""Steering a batch: single-step mode, breakpoints, steps, jumps, live parameters and revisions."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends

from evcontrol.access.people import AccessError
from evcontrol.access.permission import Permission
from evcontrol.api import views
from evcontrol.api.desk import Desk
from evcontrol.api.guard import Reader, Signed, TheDesk, may
from evcontrol.api.problem import RefusedError
from evcontrol.api.routes.batches import Operator, known_run
from evcontrol.api.schema import BatchView, WithReason
from evcontrol.api.steer_schema import (
    JumpRequest,
    ParameterChange,
    RevisionPlan,
    RevisionRequest,
    RevisionText,
    Step,
    SteppingChange,
)

router = APIRouter(prefix="/api")
T = TypeVar("T")
Steerer = Annotated[Signed, Depends(may(Permission.STEER))]


@router.post("/batches/{batch}/freeze")
async def freeze(batch: str, body: WithReason, signed: Operator, desk: TheDesk) -> BatchView:
    """Let everything stay as it is, and no phase go on."""
    run = known_run(desk, batch)
    run.freeze(signed.origin, body.reason)
    await desk.engine.journal.flush()
    return views.batch_view(run)


@router.post("/batches/{batch}/thaw")
async def thaw(batch: str, body: WithReason, signed: Operator, desk: TheDesk) -> BatchView:
    """Let a frozen batch go on."""
    run = known_run(desk, batch)
    run.thaw(signed.origin, body.reason)
    await desk.engine.journal.flush()
    return views.batch_view(run)


@router.post("/batches/{batch}/stepping")
async def change_stepping(batch: str, body: SteppingChange, signed: Operator, desk: TheDesk) -> BatchView:
    """Change single-step mode and breakpoints."""
    run = known_run(desk, batch)
    run.set_stepping(body.single, body.breakpoints, signed.origin, body.reason)
    await desk.engine.journal.flush()
    return views.batch_view(run)


@router.post("/batches/{batch}/step")
async def take_step(batch: str, body: Step, signed: Operator, desk: TheDesk) -> BatchView:
    """Let an element begin that stands at a step or a breakpoint."""
    run = known_run(desk, batch)
    _element(desk, batch, body.path)
    run.step(body.path, signed.origin)
    await desk.engine.journal.flush()
    return views.batch_view(run)


@router.post("/batches/{batch}/jump")
async def jump(batch: str, body: JumpRequest, signed: Steerer, desk: TheDesk) -> BatchView:
    """Have a held batch go on with an element that has not begun; signed with the password, given anew."""
    run = known_run(desk, batch)
    _element(desk, batch, body.path)
    password = body.password.get_secret_value()
    await signed_by(desk, signed, desk.engine.steering.jump(batch, body.path, signed.session, password, body.reason))
    return views.batch_view(run)


@router.post("/batches/{batch}/parameters/{name}")
async def change_parameter(batch: str, name: str, body: ParameterChange, signed: Steerer, desk: TheDesk) -> BatchView:
    """Change a live parameter; signed with the password, given anew."""
    run = known_run(desk, batch)
    password = body.password.get_secret_value()
    change = desk.engine.steering.change_parameter(batch, name, body.value, signed.session, password, body.reason)
    await signed_by(desk, signed, change)
    return views.batch_view(run)


@router.post("/batches/{batch}/revision/plan", dependencies=[Reader])
async def plan_revision(batch: str, body: RevisionText, desk: TheDesk) -> RevisionPlan:
    """What going on with another recipe would change, and what stands against it; nothing is done."""
    known_run(desk, batch)
    plan = await desk.engine.revising.plan(batch, body.recipe, body.recipe_name)
    return RevisionPlan(
        batch=batch,
        revision=plan.revision,
        changes=list(plan.changes),
        obstacles=list(plan.obstacles),
        shown_hash=plan.shown_hash,
    )


@router.post("/batches/{batch}/revision")
async def revise(batch: str, body: RevisionRequest, signed: Steerer, desk: TheDesk) -> BatchView:
    """Have a batch go on with another recipe in what has not begun; signed with the password, given anew."""
    run = known_run(desk, batch)
    password = body.password.get_secret_value()
    work = desk.engine.revising.revise(
        batch, body.recipe, body.recipe_name, body.shown_hash, signed.session, password, body.reason
    )
    await signed_by(desk, signed, work)
    return views.batch_view(run)


async def signed_by(desk: Desk, signed: Signed, work: Awaitable[T]) -> T:
    """Do what a person signs; a signature that is refused is journalled."""
    try:
        return await work
    except AccessError as error:
        desk.note_denied(signed.session.user, signed.session.station, error)
        raise


def _element(desk: Desk, batch: str, path: str) -> None:
    if all(element.path != path for element in desk.engine.batches.runs[batch].elements()):
        remedy = f"`evcontrol batch show {batch}` and GET /api/batches/{batch} list them."
        raise RefusedError(404, f"batch {batch} has no element {path!a}", remedy)
