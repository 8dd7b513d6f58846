"""How clients find an engine."""

import stat
from pathlib import Path

import pytest

from evcontrol.api import endpoint
from evcontrol.api.schema import Endpoint

HERE = Endpoint(url="http://127.0.0.1:5000", pid=1, plant="p", simulated=True)


def test_only_the_owner_may_read_the_token(tmp_path: Path) -> None:
    endpoint.publish(tmp_path, HERE)
    assert stat.S_IMODE((tmp_path / "run" / "token").stat().st_mode) == 0o600


def test_what_was_published_is_found(tmp_path: Path) -> None:
    token = endpoint.publish(tmp_path, HERE)
    assert endpoint.find(tmp_path) == (HERE, token)


def test_every_run_has_a_token_of_its_own(tmp_path: Path) -> None:
    assert endpoint.publish(tmp_path, HERE) != endpoint.publish(tmp_path, HERE)


def test_a_withdrawn_engine_is_not_found(tmp_path: Path) -> None:
    endpoint.publish(tmp_path, HERE)
    endpoint.withdraw(tmp_path)
    with pytest.raises(endpoint.NoEngineError, match="no engine runs on"):
        endpoint.find(tmp_path)


def test_a_damaged_endpoint_is_told_apart(tmp_path: Path) -> None:
    endpoint.publish(tmp_path, HERE)
    (tmp_path / "run" / "endpoint.json").write_text("{}")
    with pytest.raises(endpoint.NoEngineError, match="damaged"):
        endpoint.find(tmp_path)
