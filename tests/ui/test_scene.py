"""What the console makes of what it is told, without any engine: large plants, silence, questions that come and go."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from evcontrol.api.schema import Beat, Delta, PromptsEvent, PromptView, Topic
from tests.ui.conftest import MakeConsole
from tests.ui.plants import T0, UNITS, batch, snapshot, tags
from ui import theme
from ui.link import Address, Link
from ui.parts import Words
from ui.window import Console

NS = 1_000_000_000


def prompt(name: str, text: str, kind: str = "confirm", meaning: str = "") -> PromptView:
    return PromptView(
        prompt=name,
        batch="B-0001",
        path="culture/step_07",
        kind=kind,
        text=text,
        unit="",
        low=None,
        high=None,
        choices=[],
        meaning=meaning,
        opened=T0,
    )


def asked(*prompts: PromptView) -> PromptsEvent:
    return PromptsEvent(topic=Topic.PROMPTS, key="", body=list(prompts))


@pytest.fixture
def console(consoles: MakeConsole, monkeypatch: pytest.MonkeyPatch) -> Console:
    """A console whose link is told what to say."""
    monkeypatch.setattr(Link, "start", lambda self: None)
    console = consoles(Address())
    tell(console, snapshot())
    console.scene.link.said.emit(batch())
    return console


def tell(console: Console, message: object) -> None:
    console.scene.link.arrived.emit(message)


def test_a_large_plant_fits_the_window_and_nothing_is_cut_off(console: Console, qtbot: QtBot, tmp_path: Path) -> None:
    console.resize(1440, 900)
    qtbot.waitUntil(lambda: list(console.units) == [*UNITS, "SYS"])
    assert len(tags()) > 110
    for view in (console.overview, *console.units.values(), console.batches, console.trends, console.alarms):
        console.show_view(view)
        qtbot.wait(150)
        console.grab().save(str(tmp_path / f"{view.objectName()}.png"))
        assert console.size().width() == 1440, view.title
        for label in view.findChildren(QLabel):
            if isinstance(label, Words) and label.isVisible() and not label.wordWrap() and not label._elided:
                assert label.width() >= label.sizeHint().width(), f"{label.objectName()}: {label.text()}"
    page = console.units["BR101"]
    assert page.tags.text_of("BR101.TT", 1) == "What tt says"
    assert page.tags.text_of("BR101.V000_SP", 6) == "phase br1_phase"


def test_a_value_that_is_bad_or_doubtful_says_so(console: Console, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: bool(console.units))
    page = console.units["BR101"]
    console.show_view(page)
    assert (page.tags.text_of("BR101.FQ_MED", 2), page.tags.text_of("BR101.FQ_MED", 5)) == ("Bad", "Bad: not connected")
    told = page.tags.text_of("BR101.FT_MED", 5)
    assert told == "Uncertain: outside the instrument's range"


def test_silence_greys_everything_and_the_next_word_brings_it_back(console: Console, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: console.scene.live)
    assert console.gone.isHidden()
    qtbot.waitUntil(lambda: not console.scene.live, timeout=3000)
    assert 0.7 <= console.scene.silence_s() < 1.0
    assert not console.gone.isHidden()
    assert "ENGINE GONE: last seen " in console.gone.text.said
    assert console.overview.palette().windowText().color() == theme.STALE
    assert console.overview.batches.stale
    assert console.batches.now.palette().windowText().color() == theme.STALE or not console.batches.isVisible()
    console.scene.link.said.emit(Beat(beat=T0 + 5 * NS))
    qtbot.waitUntil(lambda: console.scene.live)
    assert console.scene.now == T0 + 5 * NS
    assert console.gone.isHidden()
    assert not console.overview.batches.stale


def test_nothing_can_be_sent_while_the_engine_is_gone(console: Console, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: console.scene.live)
    console.scene.link.lost.emit("it was killed")
    qtbot.waitUntil(lambda: not console.scene.live)
    refused: list[str] = []
    console.scene.act(console, lambda client: client.alarms(), lambda _: None, refused.append)
    assert refused == ["the engine is gone: nothing was sent"]
    for view in (console.batches, console.alarms):
        console.show_view(view)
    assert not any(push.isEnabled() for push in console.batches.buttons.values())
    assert not console.batches.start.isEnabled()
    assert not console.alarms.acknowledge.isEnabled()
    assert "it was killed" in console.gone.why.said
    console.scene.link.said.emit(Delta(t=T0 + NS, i=[], v=[], q=[]))
    qtbot.wait(50)


def test_a_card_keeps_what_was_typed_while_other_questions_come_and_go(console: Console, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: console.scene.live)
    console.show_view(console.batches)
    first, second = prompt("p1", "Weigh the bottle", "text"), prompt("p2", "Is it clean?")
    console.scene.link.said.emit(asked(first))
    cards = console.batches.prompts.cards
    qtbot.waitUntil(lambda: len(cards) == 1)
    card = cards["B-0001", "p1"]
    card.text.setText("half typed")
    console.scene.link.said.emit(asked(first, second))
    qtbot.waitUntil(lambda: len(cards) == 2)
    assert cards["B-0001", "p1"] is card
    button = console.findChild(QPushButton, "navigation.batch")
    qtbot.waitUntil(lambda: button.text() == "Batch  (2 questions)")
    console.scene.link.said.emit(asked(second))
    qtbot.waitUntil(lambda: len(cards) == 1)
    assert "No longer open: Weigh the bottle" in console.batches.prompts.notes.said
    assert "No longer open: Weigh the bottle" in console.status.note.said


def test_only_a_question_with_a_meaning_asks_for_a_password(console: Console, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: console.scene.live)
    console.show_view(console.batches)
    plain, signed = prompt("p1", "Is it clean?"), prompt("p2", "Filled?", meaning="I have filled it")
    console.scene.link.said.emit(asked(plain, signed))
    cards = console.batches.prompts.cards
    qtbot.waitUntil(lambda: len(cards) == 2)
    assert cards["B-0001", "p1"].password.isHidden()
    assert not cards["B-0001", "p2"].password.isHidden()
    assert cards["B-0001", "p2"].password.echoMode() is QLineEdit.EchoMode.Password
    assert cards["B-0001", "p2"]._signs.said == "Signature of nobody yet: sign on first: I have filled it"


def test_a_tree_of_a_batch_stays_as_it_was_opened_and_selected(console: Console, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: console.scene.live)
    console.show_view(console.batches)
    tree = console.batches.tree
    qtbot.waitUntil(lambda: len(tree.keys()) == 43)
    assert console.batches.now.said.splitlines() == [
        "▶ Running: step_07, waits for WT_POOL >= 3344.9 g (now 2546.1 g)",
        "▶ Running: step_11, waits for WT_POOL >= 3344.9 g (now 2546.1 g)",
    ]
    tree.select("filtration/step_11")
    event = batch()
    fewer = [element for element in event.body.elements if element.path != "culture/step_19"]
    body = event.body.model_copy(update={"elements": fewer})
    console.scene.link.said.emit(event.model_copy(update={"body": body}))
    qtbot.waitUntil(lambda: len(tree.keys()) == 42)
    assert tree.selected() == "filtration/step_11"


def test_the_banner_counts_what_waits_and_names_the_worst_and_the_newest(console: Console, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: console.scene.live)
    assert console.banner.count.said == "◆ 1 critical   4 unacknowledged alarms"
    assert console.banner.newest.said.startswith("newest: BR101.ALARM_3")
    assert console.banner.tripped.said == "✕ 3 interlocks tripped: BR101.INTERLOCK_0"
    console.show_view(console.alarms)
    assert [console.alarms.list.text_of(key, 0) for key in console.alarms.list.keys()] == [  # noqa: SIM118
        "◆ 1 critical",
        "▲ 2 high",
        "● 3 medium",
        "■ 4 low",
    ]
