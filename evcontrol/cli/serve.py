"""``evcontrol serve``: the engine and its API, until asked to stop; then the equipment is made safe."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from filelock import FileLock, Timeout

from drivers.driver import LinkState
from evcontrol.access.people import AccessError
from evcontrol.api import endpoint
from evcontrol.api.desk import Desk
from evcontrol.api.listen import AddressError, Listener, bind, url_of
from evcontrol.api.schema import Endpoint
from evcontrol.api.server import make_app
from evcontrol.cli.connect import DEFAULT_DATA, Data, InfluxFile
from evcontrol.cli.fault import WRONG, WRONG_USE, CliError
from evcontrol.cli.log import keep_details, log_to
from evcontrol.cli.loop_watchdog import LoopWatchdog, end_process
from evcontrol.cli.output import complain, say
from evcontrol.cli.priority import run_first
from evcontrol.cli.stopping import StopRequest
from evcontrol.clock import Clock, LiveClock, ScaledClock
from evcontrol.control.gate import SafeReport
from evcontrol.engine import Engine, EngineError
from evcontrol.journal.store import JournalDamagedError, JournalUnavailableError
from evcontrol.plant.load import load_plant
from evcontrol.plant.model import Plant
from evcontrol.procedure.phase import FASTEST

LOOPBACK = "127.0.0.1"
ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  (told apart, not listened on)
POLL_S = 0.01

_log = structlog.get_logger(__name__)


def serve(
    plant: Annotated[Path, typer.Argument(help="The plant file.")],
    data: Data = DEFAULT_DATA,
    endpoints: Annotated[
        Path | None,
        typer.Option("--endpoints", help="Where simulated instruments listen (run/simulators.json of theirs)."),
    ] = None,
    speed: Annotated[
        float, typer.Option("--speed", min=1, max=FASTEST, help="Process seconds per real second; only when simulated.")
    ] = 1.0,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Address of the API; port 0 is any free one.")
    ] = f"{LOOPBACK}:0",
    until_eof: Annotated[bool, typer.Option("--until-eof", help="Stop when standard input ends.")] = False,
    influxdb: InfluxFile = None,
) -> None:
    """Run a plant's engine until asked to stop; then make every unit safe."""
    host, port = _address(listen)
    loaded = load_plant(plant, _endpoints(endpoints), influxdb)
    if speed != 1.0 and not loaded.simulated:
        raise CliError(f"--speed {speed:g}: real equipment runs at speed 1 only", status=WRONG_USE)
    raise typer.Exit(asyncio.run(_serve(loaded, data, speed, host, port, until_eof)))


async def _serve(plant: Plant, data: Path, speed: float, host: str, port: int, until_eof: bool) -> int:
    stop = StopRequest()
    with stop.listening(until_eof):
        _refuse_second(data)
        log_to(data)
        run_first()
        try:
            listener = bind(host, port)
        except AddressError as error:
            raise CliError(str(error)) from None
        with listener:
            engine = _make_engine(plant, data)
            with LoopWatchdog(end_process).watching():
                return await _Service(engine, listener, host, speed, stop).run()


class _Service:
    """One engine with its API, from start to the safe end."""

    def __init__(self, engine: Engine, listener: socket.socket, host: str, speed: float, stop: StopRequest) -> None:
        self._engine = engine
        self._speed = speed
        self._stop = stop
        self._url = _client_url(listener)
        self._outside = host not in (LOOPBACK, "::1", "localhost")
        self._desk = Desk(engine)
        self._listener = Listener(make_app(self._desk, _names(host)), listener)
        self._serving: asyncio.Task[None] | None = None
        self._why = ""
        self._failed = False

    async def run(self) -> int:
        """Run until asked to stop or something without which nothing goes on has failed."""
        desk_work = None
        try:
            await self._engine.start(self._speed)
            desk_work = asyncio.create_task(self._desk.run(), name="desk")
            await self._open(desk_work)
        except JournalUnavailableError as error:
            self._fail(f"the engine cannot start: the journal cannot be written ({error})")
        except EngineError as error:
            self._fail(f"the engine cannot start: {error}")
        except Exception as error:  # noqa: BLE001  (whatever it is, the equipment is made safe)
            self._fail(f"internal error ({type(error).__name__}: {error}); the details are in {keep_details(error)}")
        finally:
            endpoint.withdraw(self._engine.data)
            reports = await self._close()
            if desk_work is not None:
                desk_work.cancel()
                await asyncio.gather(desk_work, return_exceptions=True)
        safe = _tell(self._why, reports)
        return WRONG if self._failed or not safe else 0

    async def _open(self, desk_work: asyncio.Task[None]) -> None:
        """Serve the API until somebody asks to stop; raises what ended a task that must not end."""
        self._serving = asyncio.create_task(self._listener.run_until_stopped(), name="API")
        while not self._listener.started and not self._serving.done():
            await self._engine.clock.sleep(POLL_S)
        plant = self._engine.plant
        where = Endpoint(url=self._url, pid=os.getpid(), plant=plant.name, simulated=plant.simulated)
        self._desk.run_token = endpoint.publish(self._engine.data, where)
        say(f"{plant.name}{' (simulated)' if plant.simulated else ''} is served at {self._url}")
        for name, driver in self._engine.drivers.items():
            if driver.link.state is not LinkState.READY:
                complain(f"{name} is {driver.link.state}: {driver.link.reason or 'not connected yet'}")
        forwarding = self._engine.forwarding
        if forwarding is not None and forwarding.status.reason:
            complain(f"readings are not forwarded to InfluxDB yet: {forwarding.status.reason}")
        if self._outside:
            complain("this address is reached from other machines, unencrypted: only for a closed control network")
        engine = asyncio.create_task(self._engine.failed(), name="engine")
        asked = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait([engine, asked, self._serving, desk_work], return_when=asyncio.FIRST_COMPLETED)
            self._why = self._stop.why
            if not self._why:
                ended: list[asyncio.Task[None]] = [engine, self._serving, desk_work]
                for task in ended:
                    if task.done():
                        task.result()
                raise RuntimeError("the API ended by itself")
        finally:
            engine.cancel()
            asked.cancel()
            await asyncio.gather(engine, asked, return_exceptions=True)

    async def _close(self) -> list[SafeReport]:
        """Make the plant safe at once, and end the API beside it."""
        self._desk.closing = True
        ending = [self._engine.stop(self._why or "it ends")]
        results = await asyncio.gather(*ending, self._end_api(), return_exceptions=True)
        reports, api = results
        if isinstance(api, BaseException):
            _log.error("the API did not end properly", exc_info=api)
        if isinstance(reports, BaseException):
            self._fail(f"internal error while stopping ({type(reports).__name__}: {reports})")
            _log.error("the engine did not stop properly", exc_info=reports)
            return [SafeReport(unit, self._why, [], [("all of it", "not known")]) for unit in self._engine.plant.units]
        return reports or []

    async def _end_api(self) -> None:
        if self._serving is not None:
            await self._listener.stop(self._serving)

    def _fail(self, why: str) -> None:
        self._failed = True
        self._why = why
        _log.error("the engine failed", reason=why)


def _make_engine(plant: Plant, data: Path) -> Engine:
    # A batch bears no more than speed 1 before it runs: the governor raises it.
    clock: Clock = ScaledClock(data / "run" / "speed.jsonl", 1.0) if plant.simulated else LiveClock()
    try:
        return Engine(plant, data, clock)
    except EngineError as error:
        raise CliError(str(error)) from None
    except JournalDamagedError as error:
        raise CliError(f"{data / 'journal'} is damaged: {error}; restore it from a backup") from None
    except JournalUnavailableError as error:
        raise CliError(f"the journal cannot be written: {error}") from None
    except AccessError as error:
        raise CliError(str(error)) from None


def _refuse_second(data: Path) -> None:
    """Before anything is written: a second engine must not touch the first one's speed."""
    (data / "run").mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(data / "run" / "lock", timeout=0):
            pass
    except Timeout:
        raise CliError(f"{data} is in use by an engine or another command: one at a time") from None


def _tell(why: str, reports: Sequence[SafeReport]) -> bool:
    """The last line: whether every unit is proven to be in its safe state."""
    missing: dict[str, list[str]] = {}
    for report in reports:
        for tag, reason in report.not_reached:
            missing.setdefault(reason, []).append(tag)
    if missing:
        what = "; ".join(f"{', '.join(tags)} ({reason})" for reason, tags in missing.items())
        complain(f"{why}; NOT proven to be in the safe state: {what}")
    else:
        say(f"{why}; every unit is in its safe state")
    return not missing


def _endpoints(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CliError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("devices"), dict):
        raise CliError(f"{path}: this does not say where simulated instruments listen")
    return content


def _address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; an IPv6 address stands in brackets."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise CliError(f"--listen {text}: write HOST:PORT, such as {LOOPBACK}:8471", status=WRONG_USE)
    return host, int(port)


def _client_url(listener: socket.socket) -> str:
    """The address that a client on this machine uses."""
    host, port = listener.getsockname()[:2]
    return f"http://{LOOPBACK}:{port}" if host in ANYWHERE else url_of(listener)


def _names(host: str) -> frozenset[str]:
    """The host names under which clients may ask, in lower case."""
    if host not in ANYWHERE:
        return frozenset({f"[{host}]" if ":" in host else host.lower()})
    mine = {socket.gethostname(), socket.getfqdn()}
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        addresses = set()  # a machine whose own name is in no table is reached by the names above
    return frozenset(name.lower() for name in mine) | {f"[{a}]" if ":" in a else a for a in addresses}
