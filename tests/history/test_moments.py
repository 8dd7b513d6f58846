"""At random moments server, network and engine fail; what arrives equals what was kept all the same."""

from __future__ import annotations

import random
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.history.forwarded import Comparison, compare, compare_numbers
from tests.history.forwarding import until
from tests.history.forwarding_engine import TRIAL, Suite, is_gone, sent, worker_of
from tests.history.influx_gateway import Gateway
from tests.history.influx_server import INFLUXD, NOT_HERE, InfluxServer
from tests.history.victoria_server import NOT_HERE as NO_VICTORIA
from tests.history.victoria_server import VICTORIA, VictoriaServer

FEW, MANY = 8, 100
END_S = 60.0
SHOWN_S = 15.0


class Trouble:
    """Does one thing after another to an engine that forwards, or to what it forwards to, each for a random time."""

    def __init__(self, suite: Suite, gateway: Gateway, server: InfluxServer | VictoriaServer, seed: int) -> None:
        self._suite = suite
        self._gateway = gateway
        self._server = server
        self._chance = random.Random(seed)
        self._engine = ExitStack()
        self._process = self._started()
        self.done: Counter[str] = Counter()
        self._kinds: dict[str, Callable[[], None]] = {
            "away": self._away,
            "hung": self._hung,
            "slow": self._slow,
            "too many requests": lambda: self._gateway.refuse(429, self._chance.randint(1, 3), Retry_After="1"),
            "unavailable": lambda: self._gateway.refuse(503, self._chance.randint(1, 3)),
            "restarted": self._restarted,
            "engine killed": self._killed,
            "worker killed": self._worker_killed,
        }
        if isinstance(server, InfluxServer):  # the other loses seconds when it is killed
            self._kinds["server killed"] = self._server_killed

    def moments(self, count: int) -> None:
        """So many, each when the forwarding works and something was acknowledged since the one before."""
        order = [list(self._kinds)[i % len(self._kinds)] for i in range(count)]
        self._chance.shuffle(order)
        for kind in order:
            acknowledged = sent(self._gateway)
            until(lambda before=acknowledged: sent(self._gateway) > before, END_S)  # type: ignore[misc]
            self._wait(0.3)
            self._kinds[kind]()
            self.done[kind] += 1

    def end(self) -> None:
        """Let all arrive, and stop the engine."""
        process = self._process
        acknowledged = sent(self._gateway)
        until(lambda: sent(self._gateway) > acknowledged, END_S)
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        assert process.wait(END_S) == 0
        self._engine.close()

    def close(self) -> None:
        """Kill what is left of the engine."""
        self._engine.close()

    def _started(self) -> subprocess.Popen[str]:
        return self._engine.enter_context(self._suite.engine())

    def _wait(self, longest_s: float) -> None:
        threading.Event().wait(self._chance.uniform(0.0, longest_s))

    def _away(self) -> None:
        self._gateway.close()
        self._wait(1.0)
        self._gateway.open()

    def _hung(self) -> None:
        self._server.hang()
        self._wait(1.5)
        self._server.go_on()

    def _slow(self) -> None:
        self._gateway.late_s = self._chance.uniform(0.1, 1.0)  # beyond the time-out, it was taken all the same
        self._wait(2.0)
        self._gateway.late_s = 0.0

    def _restarted(self) -> None:
        self._server.stop()
        self._wait(0.5)
        self._server.start()

    def _server_killed(self) -> None:
        assert isinstance(self._server, InfluxServer)
        self._server.kill()
        self._wait(0.5)
        self._server.start()

    def _killed(self) -> None:
        worker = worker_of(self._process)
        self._process.kill()
        until(lambda: is_gone(worker), 10.0)
        self._engine.close()
        self._process = self._started()

    def _worker_killed(self) -> None:
        subprocess.run(["kill", "-KILL", str(worker_of(self._process))], check=True)


@contextmanager
def troubled(data: Path, server: InfluxServer | VictoriaServer, seed: int) -> Iterator[tuple[Trouble, Gateway]]:
    """Simulators, a gateway before the server, and an engine."""
    data.mkdir()
    with Gateway(server) as gateway:
        suite = Suite(data, gateway, timeout="0.5 s", batch_lines="25")
        with suite.simulators():
            trouble = Trouble(suite, gateway, server, seed)
            try:
                yield trouble, gateway
            finally:
                trouble.close()


def seen_in_the_end(data: Path, server: VictoriaServer) -> Comparison:
    """What was compared; the server shows what it has taken only after a while."""
    results: list[Comparison] = []

    def same() -> bool:
        results.append(compare_numbers(data, server, simulated=True))
        return not results[-1].differences

    with suppress(AssertionError):
        until(same, SHOWN_S)
    return results[-1]


@pytest.mark.skipif(INFLUXD is None, reason=NOT_HERE)
@pytest.mark.parametrize("moments", [pytest.param(FEW, id="few"), pytest.param(MANY, id="100", marks=pytest.mark.full)])
@pytest.mark.timeout(1200)
def test_influxdb_has_every_reading_to_the_nanosecond(tmp_path: Path, moments: int) -> None:
    with InfluxServer(tmp_path / "influx") as server:
        server.create(TRIAL)
        with troubled(tmp_path / "data", server, moments) as (trouble, gateway):
            trouble.moments(moments)
            trouble.end()
        result = compare(tmp_path / "data", server, TRIAL, simulated=True)
        assert result.differences == []
        assert gateway.buckets() == {TRIAL}
    print(f"{moments} moments ({dict(trouble.done)}): {result.readings} readings, {result.gaps} gaps")  # noqa: T201
    assert result.gaps == trouble.done["engine killed"]
    assert result.readings > 100 * moments


@pytest.mark.skipif(VICTORIA is None, reason=NO_VICTORIA)
@pytest.mark.parametrize("moments", [pytest.param(FEW, id="few"), pytest.param(MANY, id="100", marks=pytest.mark.full)])
@pytest.mark.timeout(1200)
def test_victoriametrics_has_every_number_to_the_millisecond(tmp_path: Path, moments: int) -> None:
    with (
        VictoriaServer(tmp_path / "victoria") as server,
        troubled(tmp_path / "data", server, moments) as (trouble, gateway),
    ):
        trouble.moments(moments)
        trouble.end()
        result = seen_in_the_end(tmp_path / "data", server)
        assert result.differences == []
        assert gateway.buckets() == {TRIAL}
    print(f"{moments} moments ({dict(trouble.done)}): {result.readings} numbers")  # noqa: T201
    assert result.readings > 100 * moments
