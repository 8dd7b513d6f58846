"""What a client shows of a reading: never a number that is Bad."""

from evcontrol.api.picture import Picture
from evcontrol.api.schema import (
    AlarmsEvent,
    AlarmView,
    Delta,
    LoopsEvent,
    LoopView,
    OwnersEvent,
    OwnerView,
    Snapshot,
    Status,
    TagView,
    Topic,
)

ALARM = AlarmView(
    alarm="A",
    unit="U",
    state="active",
    priority="high",
    acknowledged=False,
    since=0,
    text="high pressure",
    corrective_action="",
)
LOOP = LoopView(
    loop="L", unit="U", mode="auto", pv="U.P", output="U.V", setpoint=4.0, setpoint_low=0.0, setpoint_high=8.0
)


def tag(name: str, unit: str = "", labels: tuple[str, ...] = ()) -> TagView:
    return TagView(
        name=name,
        unit=unit,
        kind="analog",
        low=None,
        high=None,
        decimals=2,
        description="",
        labels=list(labels),
        writable=None,
    )


def picture() -> Picture:
    return Picture(
        Snapshot(
            status=Status(version="1", plant="p", plant_hash="", simulated=True, clock="scaled", speed=30),
            tags=[tag("U.P", "psi"), tag("U.V", labels=("closed", "open")), tag("U.PHASE")],
            values=Delta(t=1, i=[0, 1, 2], v=[1.234, 1.0, "flush"], q=[0, 0, 0]),
            units=[],
            owners=[],
            links=[],
            loops=[],
            interlocks=[],
            alarms=[],
            batches=[],
            prompts=[],
        )
    )


def test_values_are_shown_with_their_unit_label_or_text() -> None:
    shown = picture()
    assert [shown.text(name) for name in ("U.P", "U.V", "U.PHASE")] == ["1.23 psi", "open", "flush"]


def test_a_bad_value_is_shown_as_bad_and_the_last_good_one_forgotten() -> None:
    shown = picture()
    shown.apply(Delta(t=2, i=[0], v=[None], q=[0x808A0000]))
    assert shown.text("U.P") == "Bad"
    assert shown.number("U.P") is None
    assert shown.text("U.V") == "open"


def test_a_number_with_a_bad_status_is_bad_whatever_it_says() -> None:
    shown = picture()
    shown.apply(Delta(t=2, i=[0], v=[5.0], q=[0x80000000]))
    assert shown.text("U.P") == "Bad"


def test_doubt_stands_beside_the_value() -> None:
    shown = picture()
    shown.apply(Delta(t=2, i=[0], v=[2.0], q=[0x40930000]))
    assert shown.text("U.P") == "2.00 psi (Uncertain)"


def test_nothing_is_never_less_than_nothing() -> None:
    shown = picture()
    shown.apply(Delta(t=2, i=[0], v=[-0.004], q=[0]))
    assert shown.text("U.P") == "0.00 psi"


def test_a_large_number_is_shown_with_its_exponent() -> None:
    shown = picture()
    shown.apply(Delta(t=2, i=[0], v=[5.4239e12], q=[0]))
    assert shown.text("U.P") == "5.424e12 psi"


def test_an_unknown_tag_is_bad() -> None:
    assert picture().text("U.NONE") == "Bad"


def test_value_unit_and_quality_can_be_shown_apart() -> None:
    shown = picture()
    shown.apply(Delta(t=2, i=[0, 2], v=[None, "load"], q=[0x808A0000, 0]))
    assert [shown.value_text(name) for name in ("U.P", "U.V", "U.PHASE", "U.NONE")] == ["", "open", "load", ""]
    assert [shown.quality_text(name) for name in ("U.P", "U.V")] == ["Bad: not connected", "Good"]
    assert shown.quality("U.NONE") == 0x80000000


def test_owners_and_loops_are_followed() -> None:
    shown = picture()
    owner = OwnerView(tag="U.V", owner="phase", holder="load")
    shown.apply(OwnersEvent(topic=Topic.OWNERS, key="", body=[owner]))
    assert shown.owners == {"U.V": owner}
    shown.apply(LoopsEvent(topic=Topic.LOOPS, key="", body=[LOOP]))
    assert shown.loops == [LOOP]


def test_an_event_takes_the_place_of_its_topic() -> None:
    shown = picture()
    shown.apply(AlarmsEvent(topic=Topic.ALARMS, key="", body=[ALARM]))
    assert shown.alarms == [ALARM]
    shown.apply(AlarmsEvent(topic=Topic.ALARMS, key="", body=[]))
    assert shown.alarms == []
