"""The demo's hands: what people do at the simulated equipment, and what they would measure there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evcontrol.cli.fault import CliError

ANSWER_S = 10.0
"""Real time in which the simulators answer."""


class Bench:
    """The testers' port of the simulators whose endpoints are in a file."""

    def __init__(self, endpoints: Path) -> None:
        self._endpoints = endpoints

    async def do(self, order: Mapping[str, Any]) -> Any:
        """Have something done; CliError when the simulators do not do it."""
        control = json.loads(self._endpoints.read_text(encoding="utf-8"))["control"]
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection(control["host"], control["port"], limit=1 << 22)
                try:
                    writer.write(json.dumps(order).encode() + b"\n")
                    answer = json.loads(await reader.readline())
                finally:
                    writer.close()
        except (OSError, ValueError, TimeoutError) as error:
            raise CliError(f"the simulators do not answer to {order.get('do')}: {error}") from None
        if "error" in answer:
            raise CliError(f"the simulators do not {order.get('do')}: {answer['error']}")
        return answer["ok"]

    async def measure(self, what: str) -> float:
        """A figure of the truth by its names joined by dots, as an instrument with four digits would show it."""
        found: Any = await self.do({"do": "truth"})
        for name in what.split("."):
            if not isinstance(found, dict) or name not in found:
                raise CliError(f"the simulators know nothing of {what!r}")
            found = found[name]
        return float(f"{float(found):.4g}")
