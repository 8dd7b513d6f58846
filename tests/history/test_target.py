"""A token comes from outside and is never told."""

from __future__ import annotations

from pathlib import Path

import pytest

from evcontrol.history.target import Target, TokenError


def target(**more: str) -> Target:
    return Target("http://localhost:8086", "lab", "production", "Suite", False, **more)  # type: ignore[arg-type]


def test_it_is_read_anew_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    for word in ("first", "second"):
        file.write_text(f"{word}\n", encoding="utf-8")
        assert target(token_file=str(file)).token() == word
    monkeypatch.setenv("EVCONTROL_TEST_WORD", " third ")
    assert target(token_env="EVCONTROL_TEST_WORD").token() == "third"


@pytest.mark.parametrize("content", ["", "  \n", "two words", "line\nline", "ümlaut", "nul\x00byte"])
def test_what_cannot_be_a_token_is_told_without_it(tmp_path: Path, content: str) -> None:
    file = tmp_path / "secret"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(TokenError) as caught:
        target(token_file=str(file)).token()
    assert str(caught.value).startswith("no token: ")
    assert not content.strip() or content.strip() not in str(caught.value)


def test_a_target_travels_as_one_line() -> None:
    one = target(token_env="WORD")
    assert "\n" not in one.to_json()
    assert Target.from_json(one.to_json()) == one
    with pytest.raises(ValueError, match="not a target"):
        Target.from_json('{"url": "x"}')
