"""Master recipes: the register, handing in, and decisions about them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from evcontrol.access.permission import Permission
from evcontrol.api.desk import Desk
from evcontrol.api.guard import Reader, Signed, TheDesk, may
from evcontrol.api.problem import RefusedError
from evcontrol.api.recipe_schema import (
    RecipeChange,
    RecipeDecision,
    RecipeSubmission,
    RecipeSummary,
    RecipeText,
    Requalification,
)
from evcontrol.api.routes.steering import signed_by
from evcontrol.journal.recipes import RecipeView
from evcontrol.procedure.life_cycle import Decision

router = APIRouter(prefix="/api")
Author = Annotated[Signed, Depends(may(Permission.AUTHOR))]
Approver = Annotated[Signed, Depends(may(Permission.APPROVE))]


@router.get("/recipes", dependencies=[Reader])
async def recipes(desk: TheDesk) -> list[RecipeSummary]:
    """Every version that was ever handed in, the oldest first."""
    return [_summary(desk, view) for view in desk.engine.view.recipes]


@router.post("/recipes", status_code=201)
async def submit_recipe(body: RecipeSubmission, signed: Author, desk: TheDesk) -> RecipeSummary:
    """Hand a recipe in for review."""
    view = await desk.engine.approval.submit(body.recipe, body.recipe_name, body.reason, signed.origin)
    return _summary(desk, view)


@router.get("/recipes/{version}", dependencies=[Reader])
async def recipe(version: str, desk: TheDesk) -> RecipeText:
    """One version with its text, by the first digits of its hash (at least eight)."""
    view = _known(desk, version)
    return RecipeText(summary=_summary(desk, view), text=view.text)


@router.post("/recipes/{version}/decision")
async def decide(version: str, body: RecipeDecision, signed: Approver, desk: TheDesk) -> RecipeSummary:
    """Approve, reject or retire a version; signed with the password, given anew."""
    view = _known(desk, version)
    password = body.password.get_secret_value()
    work = desk.engine.approval.decide(view.hash, Decision(body.decision), signed.session, password, body.reason)
    return _summary(desk, await signed_by(desk, signed, work))


@router.post("/requalifications", status_code=204)
async def requalified(body: Requalification, signed: Approver, desk: TheDesk) -> None:
    """A product was qualified again; signed with the password, given anew."""
    password = body.password.get_secret_value()
    work = desk.engine.approval.requalified(body.product, signed.session, password, body.reason)
    await signed_by(desk, signed, work)


def _known(desk: Desk, version: str) -> RecipeView:
    try:
        return desk.engine.approval.find(version)
    except KeyError:
        remedy = "`evcontrol recipe list` and GET /api/recipes list them; give eight digits of the hash or more."
        raise RefusedError(404, f"no single version of a recipe is called {version!a}", remedy) from None


def _summary(desk: Desk, view: RecipeView) -> RecipeSummary:
    waiting = desk.engine.view.recipes.to_requalify
    return RecipeSummary(
        hash=view.hash, name=view.name, version=view.version, product=view.product, file=view.file, state=view.state,
        submitted_by=view.submitted_by, requalify=waiting.get(view.product) == view.hash,
        changes=[RecipeChange(t=t, old=old, new=new, by=by, reason=why) for t, old, new, by, why in view.changes],
    )  # fmt: skip
