"""What the console says in words."""

from evcontrol.api.schema import AlarmView, OwnerView
from ui import when, words
from ui.theme import Tone


def alarm(name: str, priority: str, since: int, acknowledged: bool = False) -> AlarmView:
    return AlarmView(
        alarm=name,
        unit="U",
        state="acknowledged" if acknowledged else "unacknowledged",
        priority=priority,
        acknowledged=acknowledged,
        since=since,
        text="",
        corrective_action="",
    )


def test_alarms_that_wait_come_first_then_the_urgent_then_the_newest() -> None:
    alarms = [
        alarm("seen", "critical", 9, acknowledged=True),
        alarm("low", "low", 8),
        alarm("old", "high", 1),
        alarm("new", "high", 2),
    ]
    assert [one.alarm for one in words.sorted_alarms(alarms)] == ["new", "old", "low", "seen"]


def test_a_priority_is_told_by_symbol_number_and_word_and_its_colour_only_goes_along() -> None:
    told = [words.priority(name) for name in words.PRIORITIES]
    assert told == ["◆ 1 critical", "▲ 2 high", "● 3 medium", "■ 4 low"]
    assert len({words.priority_tone(name) for name in words.PRIORITIES}) == len(told)


def test_owners_are_told_with_the_last_part_of_their_names() -> None:
    phase = OwnerView(tag="U.A", owner="phase", holder="B-0001/uf/filtration/load")
    assert words.owner(phase) == "phase B-0001/uf/filtration/load"
    assert words.brief(words.owner(phase)) == "phase load"
    assert words.owner(OwnerView(tag="U.A", owner="operator", holder="user:olivia")) == "operator olivia"
    assert words.brief(words.owner(None)) == "nobody"


def test_a_quality_is_toned_by_what_it_says() -> None:
    tones = [words.quality_tone(text) for text in ("Good: in motion", "Uncertain", "Bad: not connected")]
    assert tones == [Tone.DIM, Tone.DOUBT, Tone.BAD]


def test_many_mistakes_are_told_in_one_line() -> None:
    assert words.first_line("a.yaml:1:1: wrong\n\na.yaml:2:1: wrong too\n") == "a.yaml:1:1: wrong (and 1 more)"
    assert (words.first_line("one"), words.first_line("")) == ("one", "")


def test_times_are_told_in_utc_and_durations_in_two_units() -> None:
    t = 1_700_000_000 * when.NS + 999_999_999
    assert when.moment(t) == "2023-11-14 22:13:20"
    assert when.time_of_day(t) == "22:13:20"
    seconds = (0, 59.9, 61, 3600, 90_000)
    assert [when.duration(s) for s in seconds] == ["0 s", "59 s", "1 min 01 s", "1 h 00 min", "1 d 01 h"]


def test_an_alarm_tells_what_follows_and_what_to_do_and_leaves_out_what_is_not_known() -> None:
    one = alarm("U.HIGH", "high", 1)
    assert words.about_alarm(one) == ""
    told = {
        "cause": "a shut valve",
        "consequence": "it bursts",
        "respond_within": 300.0,
        "corrective_action": "open it",
    }
    assert words.about_alarm(one.model_copy(update=told)).splitlines() == [
        "Cause: a shut valve",
        "If nobody acts: it bursts",
        "Time to act: 5 min",
        "What to do: open it",
    ]


def test_only_the_roles_that_the_plant_file_names_may_shelve() -> None:
    one = alarm("U.HIGH", "high", 1)
    assert words.why_no_shelver(one, ["operator"]) == ""
    named = one.model_copy(update={"shelve_by": ["supervisor", "engineer"]})
    assert words.why_no_shelver(named, ["operator"]) == "Only supervisor or engineer may shelve this alarm"
    assert words.why_no_shelver(named, ["operator", "engineer"]) == ""
