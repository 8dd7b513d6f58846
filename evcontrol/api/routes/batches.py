"""Batches: started, watched, commanded, their questions answered, their reconciliations signed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from evcontrol.access.people import AccessError
from evcontrol.access.permission import Permission
from evcontrol.api import views
from evcontrol.api.desk import Desk
from evcontrol.api.guard import Reader, Signed, TheDesk, may
from evcontrol.api.problem import RefusedError
from evcontrol.api.schema import (
    NEEDS_REASON,
    Answer,
    BatchCommand,
    BatchSummary,
    BatchView,
    PromptView,
    Reconciliation,
    SignReconciliation,
    StartBatch,
)
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import Command

router = APIRouter(prefix="/api")
Operator = Annotated[Signed, Depends(may(Permission.OPERATE))]


@router.post("/batches", status_code=201)
async def start_batch(body: StartBatch, signed: Operator, desk: TheDesk) -> BatchView:
    """Make a batch from the text of a recipe and start it."""
    run = await desk.engine.batches.start(
        body.recipe, body.recipe_name, body.parameters, body.purpose, body.product, signed.origin, body.kind
    )
    return views.batch_view(run)


@router.get("/batches", dependencies=[Reader])
async def batches(desk: TheDesk) -> list[BatchSummary]:
    """All batches of the journal, the oldest first."""
    runs = desk.engine.batches.runs
    return [
        views.batch_summary(runs[name]) if name in runs else views.past_summary(past)
        for name, past in desk.engine.view.batches.items()
    ]


@router.get("/batches/{batch}", dependencies=[Reader])
async def one_batch(batch: str, desk: TheDesk) -> BatchView:
    """One batch as a tree."""
    if batch in desk.engine.batches.runs:
        return views.batch_view(desk.engine.batches.runs[batch])
    past = desk.engine.view.batches.get(batch)
    if past is None:
        raise _unknown(batch)
    return views.past_batch(past)


@router.post("/batches/{batch}/command")
async def command_batch(batch: str, body: BatchCommand, signed: Operator, desk: TheDesk) -> BatchView:
    """Command a batch or one of its elements."""
    run = known_run(desk, batch)
    if body.command in NEEDS_REASON and not body.reason:
        raise RefusedError(422, f"{body.command} needs a reason", "Send `reason`.")
    if all(element.path != body.path for element in run.elements()):
        remedy = f"`evcontrol batch show {batch}` and GET /api/batches/{batch} list them."
        raise RefusedError(404, f"batch {batch} has no element {body.path!a}", remedy)
    await desk.engine.batches.command(batch, Command(body.command), signed.origin, body.reason, body.path)
    return views.batch_view(run)


@router.get("/prompts", dependencies=[Reader])
async def prompts(desk: TheDesk) -> list[PromptView]:
    """Questions that wait for a person."""
    return views.prompts(desk.engine)


@router.post("/batches/{batch}/prompts/{prompt:path}/answer", status_code=204)
async def answer(batch: str, prompt: str, body: Answer, signed: Operator, desk: TheDesk) -> None:
    """Answer a question; one that has a meaning is signed with the password, given anew."""
    run, batches, session = known_run(desk, batch), desk.engine.batches, signed.session
    if not run.question(prompt).meaning:
        await batches.answer(batch, prompt, body.value, signed.origin, body.comment)
        return
    if body.password is None:
        raise RefusedError(422, "this answer is a signature", "Send `password`: that of whoever signs.")
    password = body.password.get_secret_value()
    try:
        await batches.sign_answer(batch, prompt, body.value, session, password, body.comment, desk.engine.people)
    except AccessError as error:
        desk.note_denied(session.user, session.station, error)
        raise


@router.get("/batches/{batch}/reconciliation", dependencies=[Reader])
async def reconciliation(batch: str, desk: TheDesk) -> Reconciliation:
    """What an outage changed: to be signed before the batch may be restarted."""
    known_run(desk, batch)
    shown = desk.engine.batches.reconciliations.get(batch)
    if shown is None:
        raise RefusedError(404, f"batch {batch} has nothing to be reconciled: its engine was never away")
    return views.reconciliation(shown, desk.signed.get(batch, ""))


@router.post("/batches/{batch}/reconciliation/sign", status_code=204)
async def sign_reconciliation(
    batch: str, body: SignReconciliation, signed: Annotated[Signed, Depends(may(Permission.SIGN))], desk: TheDesk
) -> None:
    """Sign a reconciliation as it was shown; the password proves anew who signs."""
    run, batches, session = known_run(desk, batch), desk.engine.batches, signed.session
    if not run.reconciliation_due or batch not in batches.reconciliations:
        raise RefusedError(409, f"batch {batch} has nothing to be signed")
    password = body.password.get_secret_value()
    try:
        await batches.sign(batch, body.shown_hash, session, password, body.comment, desk.engine.people)
    except AccessError as error:
        desk.note_denied(session.user, session.station, error)
        raise
    desk.signed[batch] = session.full_name


def known_run(desk: Desk, batch: str) -> BatchRun:
    """A batch that something can be done with. RefusedError when there is none."""
    if batch not in desk.engine.batches.runs:
        if batch in desk.engine.view.batches:
            raise RefusedError(409, f"batch {batch} ended before the engine was started: nothing can be done with it")
        raise _unknown(batch)
    return desk.engine.batches.runs[batch]


def _unknown(batch: str) -> RefusedError:
    return RefusedError(404, f"there is no batch {batch!a}", "`evcontrol batch list` and GET /api/batches list them.")
