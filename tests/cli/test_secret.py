"""How a password reaches a command, and that it goes nowhere else."""

import io
import json
import logging
from pathlib import Path

import pytest
import structlog

from evcontrol.cli import log
from evcontrol.cli.fault import CliError
from evcontrol.cli.secret import VARIABLE, password


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_standard_input_gives_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("s e c r e t \nmore\n"))
    assert password(True, "Password") == "s e c r e t "


def test_the_environment_gives_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "from there")
    assert password(False, "Password") == "from there"


def test_nobody_to_ask_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(CliError, match="--password-stdin") as caught:
        password(False, "Password")
    assert caught.value.status == 2


def test_an_empty_password_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(CliError, match="empty"):
        password(True, "Password")


@pytest.fixture
def engine_log(tmp_path: Path):  # type: ignore[no-untyped-def]
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    yield log.log_to(tmp_path)
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers, logging.raiseExceptions = handlers, raising
    root.setLevel(level)
    structlog.reset_defaults()


def test_the_log_has_json_lines_from_both_kinds_of_loggers_and_no_secret(engine_log: Path) -> None:
    structlog.get_logger("ours").info("signed on", user="ann", password="hush", token="hush")
    logging.getLogger("uvicorn.error").warning("theirs %s", 1)
    text = engine_log.read_text()
    ours, theirs = (json.loads(line) for line in text.splitlines())
    assert "hush" not in text
    assert (ours["event"], ours["user"], ours["level"]) == ("signed on", "ann", "info")
    assert theirs["event"] == "theirs 1"


def test_an_unexpected_error_leaves_its_traceback_in_the_log(engine_log: Path) -> None:
    assert log.keep_details(ValueError("odd")) == engine_log
    entry = json.loads(engine_log.read_text())
    assert "ValueError: odd" in entry["exception"]
