"""What a plant file may say of an OPC UA server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.connection import LinkRefusedError
from drivers.opcua_options import OpcUaOptions, password_of

GIVEN: dict[str, Any] = {"url": "opc.tcp://plc:4840/plant", "namespace": "urn:plc"}

FILES = {"certificate": "a", "key": "b", "trusted": "c"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"url": "http://plc/"}, "opc.tcp://HOST:PORT/PATH"),
        ({"url": "opc.tcp://"}, "opc.tcp://HOST:PORT/PATH"),
        ({"url": "opc.tcp://plc:99999/"}, "opc.tcp://HOST:PORT/PATH"),
        ({"url": "opc.tcp://op:secret@plc:4840/"}, "no user and no password in url"),
        ({"security": {"policy": "Basic256", **FILES}}, "'Basic256Sha256' or 'Aes256"),
        ({"security": {"mode": "None", **FILES}}, "'Sign' or 'SignAndEncrypt'"),
        ({"security": {"certificate": "a", "key": "b"}}, "Field required"),
        ({"user_certificate": "a", "security": FILES}, "go together"),
        ({"user_certificate": "a", "user_key": "b"}, "needs security"),
        ({"user_certificate": "a", "user_key": "b", "user": "op", "password_env": "A", "security": FILES}, "not both"),
        ({"password_in_clear": True}, "needs user"),
        ({"password": "secret"}, "Extra inputs"),
        ({"timeout_s": 0.5, "publishing_s": 0.3}, "half of timeout_s"),
        ({"user": "op"}, "password_env or password_file"),
        ({"user": "op", "password_env": "A", "password_file": "b"}, "one of them"),
        ({"password_env": "A"}, "need user"),
        ({"queue_size": 1}, "greater than or equal to 2"),
        ({"heartbeat": "i=x"}, "no identifier"),
        ({"watchdog": {"node": "g=1", "seconds": 5}}, "no identifier"),
        ({"mode": "push"}, "'subscribe' or 'read'"),
    ],
)
def test_what_makes_no_sense_or_is_not_there_yet_is_told(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        OpcUaOptions.model_validate(GIVEN | more)


def test_the_password_comes_from_the_environment_or_the_first_line_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLC_PASSWORD", "from there")
    assert password_of(OpcUaOptions(**GIVEN, user="op", password_env="PLC_PASSWORD")) == "from there"
    file = tmp_path / "password"
    file.write_text("first line\nsecond\n", encoding="utf-8")
    assert password_of(OpcUaOptions(**GIVEN, user="op", password_file=file)) == "first line"
    assert password_of(OpcUaOptions(**GIVEN)) == ""


def test_a_password_that_is_not_there_is_told_without_any_secret(tmp_path: Path) -> None:
    for source in ({"password_env": "NOT_SET_ANYWHERE"}, {"password_file": tmp_path / "nowhere"}):
        with pytest.raises(LinkRefusedError, match="has no password of 'op'"):
            password_of(OpcUaOptions.model_validate(GIVEN | {"user": "op"} | source))
