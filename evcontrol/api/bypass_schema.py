"""Messages about bypasses of interlocks, and the cause-and-effect table."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from evcontrol.api.schema import Message, Password, Reason


class BypassRequest(Message):
    """An interlock is bypassed for so many seconds of process time: a signature."""

    duration_s: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    reason: Reason
    password: Password


class CauseView(Message):
    """One interlock of the cause-and-effect table: ``effects`` are the values of the actuators that it trips."""

    interlock: str
    unit: str
    when: str
    only_while: str
    tolerance_s: float
    latched: bool
    bypass_longest_s: float
    holds_batch: bool
    description: str
    effects: dict[str, str]
