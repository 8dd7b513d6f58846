"""What is refused before any route is looked at."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI, Request

from evcontrol.api.problem import install_handlers
from evcontrol.api.protect import Protection, host_name


def answer(headers: dict[str, str] | None = None, content: object = b"") -> httpx.Response:
    app = FastAPI()
    install_handlers(app)

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(Protection(app, frozenset({"plant7"}), max_body=100))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:80") as client:
            return await client.post("/echo", headers=headers, content=content)  # type: ignore[arg-type]

    return asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000", "plant7:8000"])
def test_the_engines_own_names_are_answered(host: str) -> None:
    assert answer({"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "plant7.evil.example"]
)
def test_a_foreign_host_name_is_not_answered(host: str) -> None:
    refused = answer({"host": host})
    assert refused.status_code == 421
    assert refused.json()["remedy"]


def test_web_pages_are_not_answered() -> None:
    assert answer({"origin": "http://127.0.0.1:80"}).status_code == 403


@pytest.mark.parametrize("length", [101, 10**30])
def test_a_large_body_is_refused_by_its_length(length: int) -> None:
    assert answer({"content-length": str(length)}).status_code == 413


def test_a_large_body_in_chunks_is_refused() -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        for _ in range(20):
            yield b"x" * 10

    assert answer(content=chunks()).status_code == 413


def test_a_length_that_is_no_number_is_refused() -> None:
    assert answer({"content-length": "-1"}).status_code == 400


def test_the_name_is_told_from_the_port() -> None:
    assert host_name("[::1]:80") == "[::1]"
    assert host_name("Name") == "name"
