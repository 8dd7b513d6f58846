"""The application: all routes of the API over one desk, behind the protection."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from evcontrol.api.desk import Desk
from evcontrol.api.problem import install_handlers
from evcontrol.api.protect import Protection
from evcontrol.api.refusals import install_refusals
from evcontrol.api.routes import (
    alarms,
    batches,
    history,
    interlocks,
    plant,
    recipes,
    records,
    sessions,
    steering,
    stream,
    users,
)

ROUTERS = (sessions, users, plant, alarms, interlocks, batches, steering, recipes, records, history, stream)
"""Every module of routes, in the order of docs/reference/api.md."""


def make_app(desk: Desk, hosts: frozenset[str] = frozenset()) -> ASGIApp:
    """The application of a desk; it answers under ``hosts`` (lower case) and the names of the loopback."""
    return Protection(make_routes(desk), hosts)


def make_routes(desk: Desk) -> FastAPI:
    """The routes themselves."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    install_handlers(app)
    install_refusals(app)
    for room in ROUTERS:
        app.include_router(room.router)
    return app
