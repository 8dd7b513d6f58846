"""An engine with its API and its simulated equipment, served by a thread beside the one that draws."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from evcontrol.api import endpoint
from evcontrol.api.schema import Endpoint
from tests.api.served import Served

T = TypeVar("T")

BOUND_S = 30.0


class Background:
    """Use as a context manager. The engine's files tell consoles where it is, as those of a real one do."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.served: Served
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(BOUND_S)
        if self._fault is not None:
            raise self._fault
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(BOUND_S)
        assert not self._thread.is_alive()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the engine's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(BOUND_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as fault:  # noqa: BLE001  (told where it is waited for)
            self._fault = fault
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with Served(self.data).running() as served:
            self.served = served
            token = endpoint.publish(self.data, Endpoint(url=served.url, pid=0, plant="", simulated=True))
            served.desk.run_token = token
            self._ready.set()
            await self._over.wait()
            endpoint.withdraw(self.data)
