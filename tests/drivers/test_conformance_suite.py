"""The suite finds what it is for: a driver that breaks one promise fails the test of it, and a working one passes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.conformance import DriverConformance, Trouble
from drivers.driver import BoundPoint, Driver, LinkState, Model, Outcome, WriteResult
from drivers.modbus import ModbusDriver
from drivers.modbus_client import in_process
from evcontrol.clock import Clock
from evcontrol.signals import Frame
from tests.drivers.rigs.modbus_tcp import ModbusInProcessRig

SUITE = DriverConformance()
Values = Mapping[str, float]
Results = Mapping[str, WriteResult]


class BeginsInConstructor(ModbusDriver):
    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._connection.start()


class WaitsInStart(ModbusDriver):
    async def start(self) -> None:
        await super().start()
        while self.link.state is not LinkState.READY:
            await asyncio.sleep(0.01)


class ShowsTheLastValue(ModbusDriver):
    last: Frame | None = None

    async def read(self) -> Frame:
        frame = await super().read()
        if self.link.state is LinkState.READY and not frame.quality.any():
            self.last = frame
        return frame if self.last is None else replace(self.last, t=frame.t, wall=frame.wall)


class IsOneReadingBehind(ModbusDriver):
    last: Frame | None = None

    async def read(self) -> Frame:
        frame = await super().read()
        last, self.last = self.last, frame
        return frame if last is None else replace(last, t=frame.t, wall=frame.wall)


class ShowsNumbersWithBad(ModbusDriver):
    async def read(self) -> Frame:
        frame = await super().read()
        return replace(frame, value=np.nan_to_num(frame.value))


class WaitsTwiceAsLong(ModbusDriver):
    async def read(self) -> Frame:
        frame = await super().read()
        if frame.quality.any():
            await asyncio.sleep(2 * self._options.timeout_s)
        return frame


class WaitsWithoutLink(ModbusDriver):
    async def read(self) -> Frame:
        if self.link.state is not LinkState.READY:
            await asyncio.sleep(self._options.timeout_s)
        return await super().read()


class RaisesWhenLost(ModbusDriver):
    async def read(self) -> Frame:
        frame = await super().read()
        if frame.quality.any():
            raise ConnectionError("lost")
        return frame


class SwallowsCancellation(ModbusDriver):
    async def read(self) -> Frame:
        try:
            await asyncio.sleep(0)  # the device in this process answers at once
            return await super().read()
        except asyncio.CancelledError as error:
            raise OSError("cancelled") from error


class TellsNobody(ModbusDriver):
    def _tell_link(self, link: Any) -> None:
        if link.state is not LinkState.DISCONNECTED:
            super()._tell_link(link)


class WritesTwice(ModbusDriver):
    async def write(self, values: Values) -> Results:
        await super().write(values)
        return await super().write(values)


class ReplaysAfterTheOutage(ModbusDriver):
    missed: Values | None = None

    async def write(self, values: Values) -> Results:
        results = await super().write(values)
        if self.link.state is not LinkState.READY:
            self.missed = values
        return results

    async def read(self) -> Frame:
        if self.missed and self.link.state is LinkState.READY:
            missed, self.missed = self.missed, None
            await super().write(missed)
        return await super().read()


class ConfirmsWhatNobodyAnswered(ModbusDriver):
    async def write(self, values: Values) -> Results:
        results = await super().write(values)
        return {name: WriteResult(Outcome.CONFIRMED) for name in results}


class SendsTheGoodOnes(ModbusDriver):
    async def write(self, values: Values) -> Results:
        for name, value in values.items():
            result = await super().write({name: value})
            if result[name].outcome is Outcome.REJECTED:
                return dict.fromkeys(values, result[name])
        return dict.fromkeys(values, WriteResult(Outcome.CONFIRMED))


class TakesAnyTag(ModbusDriver):
    async def write(self, values: Values) -> Results:
        known = {name: value for name, value in values.items() if name in self._position}
        return await super().write(known) | dict.fromkeys(
            set(values) - set(known), WriteResult(Outcome.REJECTED, "no such tag")
        )


class ConnectsAgainAfterStop(ModbusDriver):
    async def stop(self) -> None:
        await super().stop()
        self._connection.start()


MADE = SUITE.test_a_driver_that_is_made_does_not_connect
START = SUITE.test_start_returns_at_once_and_the_link_becomes_ready
TOLD = SUITE.test_every_change_of_the_link_is_told_in_order
NO_LINK = SUITE.test_without_a_link_a_read_is_bad_at_once
STOP = SUITE.test_stop_closes_for_good_and_can_be_called_again
TRUE = SUITE.test_every_tag_is_read_as_the_device_has_it
CANCELLED = SUITE.test_a_read_that_is_cancelled_ends_and_its_answer_is_never_taken_for_the_next
WRITTEN = SUITE.test_a_write_is_confirmed_arrives_once_and_is_read_back
MISTAKEN = SUITE.test_a_tag_that_is_unknown_or_cannot_be_written_is_the_callers_mistake
MISFIT = SUITE.test_one_value_that_cannot_be_sent_has_all_rejected_before_anything_is_sent
REJECTED = SUITE.test_without_a_link_a_write_is_rejected_at_once_and_never_sent_later


def in_silence(rig: ModbusInProcessRig) -> None:
    SUITE.test_a_trouble_is_bad_in_time_is_told_raises_nothing_and_passes(rig, Trouble.SILENT)


def when_gone(rig: ModbusInProcessRig) -> None:
    SUITE.test_a_trouble_is_bad_in_time_is_told_raises_nothing_and_passes(rig, Trouble.GONE)


def written_in_silence(rig: ModbusInProcessRig) -> None:
    SUITE.test_a_write_in_trouble_arrives_once_at_most_and_is_settled_by_reading_back(rig, Trouble.SILENT)


BROKEN = [
    (BeginsInConstructor, MADE),
    (WaitsInStart, START),
    (TellsNobody, TOLD),
    (ShowsTheLastValue, when_gone),
    (ShowsTheLastValue, in_silence),
    (IsOneReadingBehind, TRUE),
    (ShowsNumbersWithBad, NO_LINK),
    (WaitsTwiceAsLong, in_silence),
    (WaitsWithoutLink, NO_LINK),
    (RaisesWhenLost, when_gone),
    (SwallowsCancellation, CANCELLED),
    (ConnectsAgainAfterStop, STOP),
    (WritesTwice, WRITTEN),
    (ReplaysAfterTheOutage, REJECTED),
    (ConfirmsWhatNobodyAnswered, written_in_silence),
    (ConfirmsWhatNobodyAnswered, REJECTED),
    (SendsTheGoodOnes, MISFIT),
    (TakesAnyTag, MISTAKEN),
]


class BrokenRig(ModbusInProcessRig):
    kind: type[ModbusDriver] = ModbusDriver

    def make(self, name: str, options: Model, points: Sequence[BoundPoint], clock: Clock) -> Driver:
        return self.kind(name, options, points, clock, connect=in_process(self.skid))


@pytest.mark.parametrize(("kind", "promise"), BROKEN, ids=lambda value: value.__name__)
def test_a_driver_that_breaks_a_promise_is_found(kind: type[ModbusDriver], promise: Any, tmp_path: Path) -> None:
    rig = BrokenRig(tmp_path)
    promise(rig)
    rig = BrokenRig(tmp_path)
    rig.kind = kind
    with pytest.raises((AssertionError, ConnectionError, pytest.fail.Exception)):
        promise(rig)


def test_the_engine_and_the_drivers_do_without_pytest() -> None:
    lines = (
        "import sys; sys.modules['pytest'] = None",
        "import evcontrol.engine",
        "from drivers.registry import driver_types; driver_types()",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
