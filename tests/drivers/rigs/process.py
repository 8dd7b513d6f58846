"""A simulated device as a process of its own, which can be ordered about, stopped, killed and started again.

The child runs a function ``serve(port)`` of a rig's module, which gives the port where it listens and an object whose
methods the parent may call.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

Serve = Callable[[int], Awaitable[tuple[int, Any]]]


class DeviceProcess:
    """The function is named ``module:function``. The port stays the same when it is started again."""

    def __init__(self, serve: str) -> None:
        self._serve = serve
        self.port = 0
        self.start()

    def start(self, *words: str) -> None:
        """Start it; returns when it listens. ``words`` are further arguments of the function."""
        command = [sys.executable, "-m", "tests.drivers.rigs.process", self._serve, str(self.port), *words]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._answer())

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the device's object; its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([method, arguments]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def hang(self) -> None:
        """SIGSTOP: its sockets stay open and say nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


_SHARED: dict[str, DeviceProcess] = {}


def shared_process(serve: str) -> DeviceProcess:
    """One for all tests that do it no harm, since some take seconds to start."""
    if serve not in _SHARED:
        _SHARED[serve] = DeviceProcess(serve)
        atexit.register(_SHARED[serve].kill)
    return _SHARED[serve]


async def main(serve: str, port: str, *words: str) -> None:
    module, _, function = serve.partition(":")
    listening, device = await getattr(importlib.import_module(module), function)(int(port), *words)
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[str] = asyncio.Queue()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, line)
        loop.call_soon_threadsafe(orders.put_nowait, "")

    threading.Thread(target=listen, daemon=True).start()
    tell(listening)
    while order := await orders.get():
        method, arguments = json.loads(order)
        answer = getattr(device, method)(*arguments)
        tell(await answer if asyncio.iscoroutine(answer) else answer)


def tell(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
