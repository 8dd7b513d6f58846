"""Errors as problem objects with a status code: what went wrong and what to do about it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from evcontrol.api.schema import Problem

_REMEDY = {
    400: "Send the body as JSON with Content-Type application/json.",
    404: "See docs/reference/api.md for the addresses.",
    405: "See docs/reference/api.md for the methods.",
    413: "Send less than 1 MiB in one request.",
}


class RefusedError(Exception):
    """A request that is answered with a problem object."""

    def __init__(self, status: int, error: str, remedy: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.problem = Problem(error=error, remedy=remedy)


def problem_response(status: int, error: str, remedy: str = "") -> Response:
    """A problem as a response; text that UTF-8 cannot carry is replaced."""
    body = Problem(error=_clean(error), remedy=_clean(remedy)).model_dump_json()
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Response(body, status, headers, media_type="application/json")


def install_handlers(app: FastAPI) -> None:
    """Make every error of the application a problem object."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    return problem_response(error.status, error.problem.error, error.problem.remedy)


async def _invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = "; ".join(_fault(e) for e in error.errors()[:5])
    return problem_response(422, f"the request is not valid: {faults}", "Correct the named fields.")


async def _http(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return problem_response(error.status_code, str(error.detail), _REMEDY.get(error.status_code, ""))


async def _unexpected(_: Request, error: Exception) -> Response:
    return problem_response(500, f"internal error ({type(error).__name__})", "Details are in log/engine.log.")


def _fault(error: dict[str, Any]) -> str:
    """Place and message of one validation error; the input itself is never echoed (it may be a password)."""
    place = ".".join(str(part) for part in error["loc"] if part != "body") or "body"
    return f"{place[:200]}: {error['msg']}"


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
