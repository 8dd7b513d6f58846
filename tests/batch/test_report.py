"""The report is one page that needs nothing else, says everything, and never says more than was read."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evcontrol.batch.report import write_report
from evcontrol.journal.events import Kind
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD
from tests.batch.story import BATCH, OLIVIA, PHASE, Story, tell

EVIL = "<script>alert('x')</script>\"&"
VOID = {"meta"}


class Page(HTMLParser):
    """What a browser would find: elements, their attributes, and the text; fails on what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(data: Path) -> Page:
    return Page(write_report(data, BATCH).read_text(encoding="utf-8"))


def charts(data: Path) -> dict[str, str]:
    """The pictures by their titles."""
    text = write_report(data, BATCH).read_text(encoding="utf-8")
    found = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    return {re.search(r"<title>(.*?)</title>", svg)[1]: svg for svg in found}  # type: ignore[index]


def test_it_needs_and_runs_nothing_but_itself(tmp_path: Path) -> None:
    tell(tmp_path)
    found = page(tmp_path)
    assert not {"script", "link", "img", "iframe", "object", "embed", "image", "use", "form"} & set(found.elements)
    assert not [name for name, _ in found.attributes if name in ("src", "href", "xlink:href") or name.startswith("on")]
    text = write_report(tmp_path, BATCH).read_text(encoding="utf-8")
    assert not re.findall(r"https?:|url\(|@import", text)
    assert "default-src 'none'" in text


def test_it_lies_in_the_data_directory_or_where_it_is_wanted(tmp_path: Path) -> None:
    tell(tmp_path / "data")
    assert write_report(tmp_path / "data", BATCH) == tmp_path / "data" / "reports" / "B-0001.html"
    wanted = tmp_path / "out" / "batch.html"
    assert write_report(tmp_path / "data", BATCH, wanted) == wanted
    assert [path.name for path in wanted.parent.iterdir()] == ["batch.html"]


def test_the_same_data_gives_the_same_page(tmp_path: Path) -> None:
    tell(tmp_path)
    assert write_report(tmp_path, BATCH).read_bytes() == write_report(tmp_path, BATCH).read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        "Batch report B-0001",
        "SIMULATED: made on simulated equipment. It can never be released.",
        "B-0001: TRAINING, recipe draft: not for use in people",
        "training; the recipe was draft",
        "Ultrafiltration by hand, version 2.1.0",
        "MSC-EV concentrate",
        "Olivia Operator (olivia)",
        "virtual; process seconds per real second: 1",
        "State Complete Balance check closes",
        "Record intact",
        "uf/diafilter phase diafilter 2026-03-01",
        "mass 2000 g (feed_mass) 2000 g +0.0 % result",
        "vcf 10 x 9.9 x -1.0 % result",
        "tmp 4 psi (tmp) 4 psi +0.0 % median while the permeate was open",
        "cross_flow 1200 mL/min 1200 mL/min",
        "Liquid balance of TFF201: closes",
        "feed, by the transfer totaliser 2004.0 mL 2000.0 g",
        "No interlock tripped.",
        "Nothing was signed.",
        "Head of the journal",
    ],
)
def test_what_stands_in_it(shipped: Page, words: str) -> None:
    assert words in shipped.text


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Page:
    data = tmp_path_factory.mktemp("data")
    tell(data)
    return page(data)


def test_changed_parameters_are_marked(tmp_path: Path) -> None:
    tell(tmp_path, parameters={"tmp": "5 psi"})
    text = page(tmp_path).text
    assert "tmp 5 psi CHANGED 4 psi 2 psi to 7 psi" in text
    assert "feed_mass 2000 g - 2000 g" in text


def test_a_leak_stands_in_the_verdicts(tmp_path: Path) -> None:
    tell(tmp_path, leak_g=60.0)
    text = page(tmp_path).text
    assert "Balance check FAILS does not close; TFF201: 3200.0 g in, 3140.0 g out, difference +1.87 %" in text
    assert "+1.87 %, OUTSIDE 1 %" in text


def test_an_unknown_balance_says_why(tmp_path: Path) -> None:
    def lose(story: Story) -> None:
        story.quality["WT_PERM"] = BAD_NOT_CONNECTED

    tell(tmp_path, {"after diafilter": lose})
    text = page(tmp_path).text
    assert "Balance check INCONCLUSIVE" in text
    assert "TFF201.WT_PERM is Bad: not connected at" in text


def test_a_damaged_journal_stands_in_the_verdicts(tmp_path: Path) -> None:
    tell(tmp_path)
    segment = tmp_path / "journal" / "000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"value":2000.0', b'"value":2100.0'))
    text = page(tmp_path).text
    assert "Record NOT INTACT" in text
    assert "the line before this one is not the one that was written" in text


def test_what_people_and_devices_enter_is_text_and_nothing_else(tmp_path: Path) -> None:
    def enter(story: Story) -> None:
        asked = {"prompt": f"uf/load:{EVIL}", "kind": "choice", "text": EVIL, "unit": EVIL, "low": None, "high": None,
                 "choices": [EVIL], "meaning": ""}  # fmt: skip
        story.event(Kind.PROMPT_OPENED, asked, path="uf/load")
        answer = {"prompt": f"uf/load:{EVIL}", "key": EVIL, "value": EVIL, "unit": "", "comment": EVIL}
        story.event(Kind.PROMPT_ANSWERED, answer, origin=OLIVIA, path="uf/load")
        story.event(Kind.PHASE_RESULT, {"name": EVIL, "value": EVIL, "unit": EVIL}, path="uf/load")
        story.event(Kind.LINK_STATE, {"device": EVIL, "state": EVIL, "reason": EVIL})
        story.event(Kind.MODULE_INSTALLED, {"module": EVIL, "type": EVIL}, path="uf/load")
        story.event(Kind.HISTORY_GAP, {"from": story.clock.now(), "to": story.clock.now(), "reason": EVIL})
        signature = dict.fromkeys(("user", "full_name", "meaning", "subject", "shown_hash", "comment"), EVIL)
        story.event(Kind.SIGNATURE, signature, origin=OLIVIA, path="")
        item = dict.fromkeys(("what", "expected", "read", "verdict"), EVIL)
        story.event(Kind.RECONCILIATION_SHOWN, {"items": [item], "outage_s": 1.0, "hash": EVIL}, path="")
        command = {"command": "C1", "tag": EVIL, "value": 1.0, "unit": EVIL, "previous": 0, "why": EVIL, "class": "x"}
        story.event(Kind.COMMAND_INTENT, command, origin=PHASE, path=EVIL)
        body = {"alarm": f"TFF201.{EVIL}", "old": EVIL, "new": EVIL, "priority": EVIL, "text": EVIL}
        story.event(Kind.ALARM_STATE, body)
        story.state("uf/load", EVIL, EVIL, EVIL, EVIL)

    tell(tmp_path, {"load": enter})
    found = page(tmp_path)
    assert "script" not in found.elements
    assert found.text.count("<script>alert('x')</script>\"&") >= 25


def test_signatures_have_printed_name_meaning_and_time(tmp_path: Path) -> None:
    def sign(story: Story) -> None:
        shown = {"items": [{"what": "TFF201.WT_RET", "expected": "1.0 g", "read": "9.0 g", "verdict": "moved"}],
                 "outage_s": 12.5, "hash": "cd" * 32}  # fmt: skip
        story.event(Kind.RECONCILIATION_SHOWN, shown, path="")
        signature = {"user": "olivia", "full_name": "Olivia Operator", "meaning": "I have compared it",
                     "subject": "reconciliation of B-0001", "shown_hash": "cd" * 32}  # fmt: skip
        story.event(Kind.SIGNATURE, signature, origin=OLIVIA, path="")

    tell(tmp_path, {"load": sign})
    text = page(tmp_path).text
    assert re.search(r"Olivia Operator olivia I have compared it 2026-03-01 00:0\S+ reconciliation of B-0001", text)
    assert re.search(r"after an outage of 12.5 s .* Signed by Olivia Operator at 2026-03-01", text)


def test_coded_values_are_shown_as_words(tmp_path: Path) -> None:
    def command(story: Story) -> None:
        body = {"command": "C1", "tag": "TFF201.INLET", "value": 2.0, "unit": "", "previous": 0.0, "why": "fill",
                "class": "discrete"}  # fmt: skip
        story.event(Kind.COMMAND_INTENT, body, origin=PHASE, path="uf/load")

    tell(tmp_path, {"load": command})
    assert "TFF201.INLET buffer fill no outcome" in page(tmp_path).text


# -- trends ------------------------------------------------------------------------------------------------------------


def lines(svg: str) -> int:
    return svg.count("<polyline")


def test_every_trend_is_drawn_without_a_break(tmp_path: Path) -> None:
    tell(tmp_path)
    drawn = charts(tmp_path)
    assert {title: lines(svg) for title, svg in drawn.items()} == {
        "Weights of TFF201": 2,
        "Transmembrane pressure of TFF201": 1,
        "Permeate flux of TFF201": 1,
        "Pressures of TFF201": 3,
        "Permeate conductivity of TFF201": 1,
        "Cross-flow of TFF201": 1,
    }


def test_bad_readings_are_a_break_and_a_mark(tmp_path: Path) -> None:
    def lose(story: Story) -> None:
        story.quality["WT_RET"] = BAD_NOT_CONNECTED

    def find(story: Story) -> None:
        story.quality["WT_RET"] = GOOD

    tell(tmp_path, {"load": lose, "after load": find})
    weights = charts(tmp_path)["Weights of TFF201"]
    assert lines(weights) == 3
    assert weights.count('fill="#a40e26"') == 1


def test_a_gap_is_a_break_and_is_shaded(tmp_path: Path) -> None:
    began: list[int] = []

    def stop(story: Story) -> None:
        story.silent = True
        began.append(story.clock.now())

    def go_on(story: Story) -> None:
        story.silent = False
        story.event(Kind.HISTORY_GAP, {"from": began[0], "to": story.clock.now(), "reason": "disk full"})

    tell(tmp_path, {"load": stop, "after load": go_on})
    drawn = charts(tmp_path)
    assert lines(drawn["Weights of TFF201"]) == 4
    assert "gap: disk full" in drawn["Weights of TFF201"]
    assert "disk full" in page(tmp_path).text


def test_a_silence_without_a_note_is_a_break_too(tmp_path: Path) -> None:
    def stop(story: Story) -> None:
        story.silent = True

    def go_on(story: Story) -> None:
        story.silent = False

    tell(tmp_path, {"load": stop, "after load": go_on})
    assert lines(charts(tmp_path)["Transmembrane pressure of TFF201"]) == 2


def test_a_batch_that_has_just_begun_has_a_report(tmp_path: Path) -> None:
    def stop(story: Story) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        tell(tmp_path, {"begun": stop})
    text = page(tmp_path).text
    assert "Ended not ended" in text
    assert "State Running Balance check INCONCLUSIVE" in text


def test_a_recipe_that_cannot_be_read_any_more_still_gives_a_report(tmp_path: Path) -> None:
    tell(tmp_path, recipe="recipe: [")
    text = page(tmp_path).text
    assert "Balance check INCONCLUSIVE" in text
    assert "uf/load" in text
