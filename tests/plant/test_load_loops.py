"""The section loops: every mistake with its place."""

from __future__ import annotations

import pytest

from evcontrol.control.loop import LoopMode
from evcontrol.plant.load import parse_plant
from evcontrol.plant.load_loops import MODES
from evcontrol.yaml_source import SourceError
from tests.cli.processes import PLANT

SHIPPED = PLANT.read_text(encoding="utf-8")
FLOW = """\
  TFF201.FIC:
    where: engine
    pv: TFF201.FT_FEED
    %s
    action: reverse
    gain: 0.1
    setpoint_low: 0
    setpoint_high: 1000
    output_low: 0
    output_high: 100
    max_scan: 2 s
    on_bad: {action: freeze}
"""


def told(loop: str, text: str = SHIPPED) -> list[str]:
    begin = text.index("loops:\n") + len("loops:\n")
    with pytest.raises(SourceError) as caught:
        parse_plant(text[:begin] + loop + text[begin:], "plant.yaml")
    return [mistake.what for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("description: x", "loop 'TFF201.FIC' needs exactly one of: output, split"),
        ("output: TFF201.PCV101_PS", "'TFF201.PCV101_PS' cannot be written (did you mean 'TFF201.PCV101_SP'?)"),
        ("output: TFF201.FIC", "loop 'TFF201.FIC' sets itself by way of TFF201.FIC"),
        ("output: TFF201.PIC_TMP", "its output goes beyond the setpoints of TFF201.PIC_TMP: 0.5 to 8"),
        ("split: [{output: TFF201.PCV101_SP, over: [50, 0], to: [0, 100]}]", "goes from low to high, not 50 to 0"),
        ("split: [{output: TFF201.PCV101_SP, over: [0, 50], to: [0, 200]}]", "TFF201.PCV101_SP takes 0 to 100"),
        ("split: [{output: TFF201.TMP, over: [0, 50], to: [0, 10]}]", "'TFF201.TMP' cannot be written"),
        ("output: TFF201.PCV101_SP\n    ratio_of: TFF201.FT_FED", "unknown tag 'TFF201.FT_FED'"),
    ],
)
def test_a_mistake_is_told(output: str, what: str) -> None:
    assert any(what in one for one in told(FLOW % output)), told(FLOW % output)


@pytest.mark.parametrize(
    ("output", "on_bad", "what"),
    [
        ("TFF201.PCV101_SP", "{action: value, value: 101}", "loop 'TFF201.FIC': TFF201.PCV101_SP takes 0 to 100"),
        ("TFF201.TRIP_RESET", "{action: safe}", "no safe value of TFF201.TRIP_RESET in safe_states"),
    ],
)
def test_a_failure_action_that_cannot_be_taken_is_told(output: str, on_bad: str, what: str) -> None:
    loop = (FLOW % f"output: {output}").replace("{action: freeze}", on_bad)
    assert any(what in one for one in told(loop)), told(loop)


def test_a_tag_for_a_mode_has_the_modes_as_labels() -> None:
    assert tuple(mode.value for mode in LoopMode) == MODES
    text = SHIPPED.replace("automatic, cascade, failed", "auto, cascade, failed", 1)
    (what,) = told("", text)
    assert what.startswith("TFF201.PIC_TMP_MODE: kind enum, labels [off, starting, automatic")
