"""A person at a console on a real window system, with a real engine behind a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit
from pytestqt.qtbot import QtBot

from evcontrol.journal.events import Kind, Origin
from tests.api.served import PASSWORD
from tests.ui.background import Background
from tests.ui.conftest import MakeConsole
from tests.ui.person import Person, at
from ui.by_hand import CommandDialog, ModeDialog
from ui.sign_on import SignOnDialog
from ui.start_batch import StartDialog

QUESTIONS = """\
recipe: Questions
version: 1.0.0
product: test
description: One question of each kind.
units:
  tff: {class: tff}
parameters:
  volume: {value: 1 mL, low: 0.5 mL, high: 5 mL, description: Volume of each vial}
procedure:
  - unit_procedure: asking
    unit: tff
    steps:
      - {phase: prompt, name: ready, with: {text: Is the skid clean?}}
      - {phase: prompt, name: side, with: {text: Which side of the bench?, choices: "left, right"}}
      - {phase: store, with: {storage: -80 C}}
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    with Background(tmp_path_factory.mktemp("engine")) as background:
        yield background


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "questions.yaml"
    path.write_text(QUESTIONS, encoding="utf-8")
    return path


@pytest.fixture
def person(engine: Background, consoles: MakeConsole, qtbot: QtBot) -> Person:
    person = Person(consoles(at(engine.data)), qtbot, PASSWORD)
    person.until_live()
    return person


def end(person: Person) -> None:
    person.command("abort")
    person.until_state("Aborted")


def test_watching_needs_no_name_and_commands_do(person: Person) -> None:
    person.until(lambda: person.console.status.connection.said == "connected")
    assert person.console.status.simulated.said == "SIMULATED"
    assert "nobody" in person.console.person.said.lower()
    person.go_to("batch")
    assert not person.console.batches.start.isEnabled()
    assert person.console.batches.start.toolTip() == "sign on first"


def test_a_wrong_password_is_told_in_one_line_where_it_was_typed(person: Person) -> None:
    person.click(person.console.sign)
    dialog = person.widget(SignOnDialog, "sign_on")
    person.type(dialog.user, "olivia")
    person.type(dialog.password, "not her pass phrase")
    person.click(dialog.ok)
    person.until(lambda: bool(dialog.error.said))
    assert dialog.error.said.startswith("✕ the name or the password is wrong")
    assert "\n" not in dialog.error.said
    assert person.console.scene.session is None
    dialog.reject()


def test_a_batch_is_started_answered_held_restarted_and_signed(
    engine: Background, person: Person, recipe: Path, tmp_path: Path
) -> None:
    person.sign_on()
    person.start(recipe)
    name = person.batch.summary.batch
    ready = person.until_prompt("clean")
    person.until(lambda: "waits for answer to: Is the skid clean?" in person.console.batches.now.said)
    person.until(lambda: name in person.console.batches.list.keys())  # noqa: SIM118
    person.until(lambda: person.console.batches.list.text_of(name, 1).endswith(", training"))
    person.shot(tmp_path, "question")
    buttons = person.console.batches.buttons
    person.until(buttons["hold"].isEnabled)
    assert {command for command, push in buttons.items() if push.isEnabled()} == {"hold", "pause", "stop", "abort"}
    person.command("hold")
    person.until_state("Held")
    assert person.picture.prompts == []
    person.until(lambda: buttons["restart"].toolTip() == "restart needs a reason")
    assert not buttons["restart"].isEnabled()
    person.command("restart", "seen to")
    person.until_state("Running")
    person.answer(person.until_prompt("clean"))
    person.until_prompt("Which side")
    for about in ("Which side", "Number of", "Volume in", "first container", "Storage place", "Sign"):
        person.answer(person.until_prompt(about))
    person.until_state("Complete")
    assert ready.kind == "confirm"
    signed = engine.served.events(Kind.SIGNATURE)[-1]
    assert (signed.batch, signed.body["user"]) == (name, "olivia")
    answers = {e.body["prompt"].rpartition(":")[2]: e.body["value"] for e in engine.served.events(Kind.PROMPT_ANSWERED)}
    assert answers["volume"] == 1.5
    assert answers["label"] == "V-0001"


def test_an_answer_outside_its_limits_and_a_signature_without_its_password_are_not_sent(
    person: Person, recipe: Path
) -> None:
    person.sign_on()
    person.start(recipe)
    person.answer(person.until_prompt("clean"))
    card = person.card(person.until_prompt("Which side"))
    person.click(card.send)
    assert card.error.said == "✕ choose one"
    person.answer(card.prompt)
    card = person.card(person.until_prompt("Number of"))
    person.type(card.number.field, "0")
    person.click(card.send)
    assert card.error.said == "✕ 0 is outside 1 to 10000"
    person.type(card.number.field, "")
    person.click(card.send)
    assert card.error.said == "✕ nothing is not a number"
    for about in ("Number of", "Volume in", "first container", "Storage place"):
        person.answer(person.until_prompt(about))
    card = person.card(person.until_prompt("Sign"))
    person.click(card.send)
    assert "the password is missing" in card.error.said
    person.type(card.password, "not her pass phrase")
    person.click(card.send)
    person.until(lambda: "password" in card.error.said and "missing" not in card.error.said)
    assert card.prompt in person.picture.prompts
    end(person)


def test_a_question_that_opened_on_one_console_is_answered_on_another(
    person: Person, engine: Background, consoles: MakeConsole, qtbot: QtBot, recipe: Path
) -> None:
    other = Person(consoles(at(engine.data)), qtbot, PASSWORD)
    other.until_live()
    other.sign_on("oscar")
    person.sign_on()
    person.start(recipe)
    asked = person.until_prompt("clean")
    half = person.card(asked).comment
    person.type(half, "half a com")
    other.go_to("batch")
    other.answer(other.until_prompt("clean"))
    person.until(lambda: (asked.batch, asked.prompt) not in person.console.batches.prompts.cards)
    note = person.console.batches.prompts.notes
    assert "No longer open: Is the skid clean? (answered at another station, or withdrawn)" in note.said
    assert "Answered: Is the skid clean?" in other.console.batches.prompts.notes.said
    end(person)


def test_a_recipe_that_is_wrong_is_refused_with_its_line_and_nothing_is_started(person: Person, tmp_path: Path) -> None:
    person.sign_on()
    path = tmp_path / "wrong.yaml"
    path.write_text(QUESTIONS.replace("phase: store", "phase: stare"), encoding="utf-8")
    before = len(person.picture.batches)
    person.go_to("batch")
    person.click(person.console.batches.start)
    dialog = person.widget(StartDialog, "start")
    dialog.file.setText(str(path))
    assert dialog.findChild(QLineEdit, "start.parameter.volume").text() == "1 mL"
    assert dialog.kind.currentData() == "training"  # on simulated equipment
    person.click(dialog.ok)
    assert dialog.error.said.startswith("✕ purpose")
    person.type(dialog.purpose, "a test")
    person.click(dialog.ok)
    person.until(lambda: "wrong.yaml:15" in dialog.error.said)
    assert dialog.isVisible()
    assert len(person.picture.batches) == before
    dialog.reject()


def test_a_parameter_that_follows_another_one_is_left_to_it(person: Person, tmp_path: Path) -> None:
    person.sign_on()
    path = tmp_path / "scaled.yaml"
    scaled = "\n  vials: {value: 20 mL, scale_by: volume}\nprocedure:"
    path.write_text(QUESTIONS.replace("\nprocedure:", scaled), encoding="utf-8")
    person.go_to("batch")
    person.click(person.console.batches.start)
    dialog = person.widget(StartDialog, "start")
    dialog.file.setText(str(path))
    field = dialog.findChild(QLineEdit, "start.parameter.vials")
    assert (field.text(), field.placeholderText()) == ("", "20 mL, scaled by volume")
    dialog.findChild(QLineEdit, "start.parameter.volume").setText("2 mL")
    person.type(dialog.purpose, "a test")
    person.click(dialog.ok)
    person.until(lambda: any(one.summary.state == "Running" for one in person.picture.batches.values()))
    (batch,) = [one for one in person.picture.batches.values() if one.summary.state == "Running"]
    person.name = batch.summary.batch
    assert batch.parameters == {"volume": "2 mL", "vials": "40 mL"}
    end(person)


def test_each_role_is_offered_what_it_may_do(person: Person) -> None:
    person.sign_on("quentin")
    person.go_to("batch")
    assert not person.console.batches.start.isEnabled()
    assert person.console.batches.start.toolTip() == "quentin (quality) lacks the permission to operate"
    person.click(person.console.sign)
    person.until(lambda: person.console.scene.session is None)
    assert person.console.sign.text() == "Sign on…"


def test_an_alarm_is_seen_on_every_view_and_acknowledged(person: Person, engine: Background, tmp_path: Path) -> None:
    person.sign_on()
    engine.served.sim.balance_links["WT-RET"].plugged = False
    console = person.console
    person.until(lambda: "unacknowledged alarm" in console.banner.count.said)
    person.click(console.banner.show_alarms)
    assert console.stack.currentWidget() is console.alarms
    alarm = console.alarms.list.keys()[0]
    assert console.alarms.list.text_of(alarm, 0) == "▲ 2 high"
    console.alarms.list.select(alarm)
    person.until(console.alarms.acknowledge.isEnabled)
    person.shot(tmp_path, "alarm")
    person.type(console.alarms.comment, "the cable is out")
    person.click(console.alarms.acknowledge)
    person.until(lambda: console.alarms.error.said == f"✓ {alarm} acknowledged")
    person.until(lambda: "unacknowledged" not in console.banner.count.said)
    told = [event.body for event in engine.served.events(Kind.ALARM_STATE) if event.body["new"] == "acknowledged"]
    assert told[-1]["alarm"] == alarm
    engine.served.sim.balance_links["WT-RET"].plugged = True
    person.until(lambda: console.banner.count.said == "No alarms")


def test_an_alarm_is_shelved_with_a_reason_and_brought_back(person: Person, engine: Background) -> None:
    person.sign_on()
    alarms, banner, alarm = person.console.alarms, person.console.banner, "TFF201.PERMEATE_VESSEL_FULL"
    permeate = engine.served.sim.process.ledger.permeate
    before, permeate.volume_ml = permeate.volume_ml, 11_500.0
    person.go_to("alarms")
    person.until(lambda: _listed(person, alarm))
    alarms.list.select(alarm)
    person.until(lambda: alarms.shelve.toolTip() == "A reason is needed")
    person.type(alarms.comment, "the vessel is being changed")
    alarms.minutes.setValue(11.0)
    person.click(alarms.shelve)
    person.until(lambda: "may be shelved for at most 600 s" in alarms.error.said)
    alarms.minutes.setValue(5.0)
    person.click(alarms.shelve)
    person.until(lambda: alarms.list.text_of(alarm, 1).startswith("shelved until "))
    person.until(lambda: banner.count.said == "1 alarm put aside")
    person.type(alarms.comment, "it is changed")
    person.until(alarms.unshelve.isEnabled)
    permeate.volume_ml = before
    person.click(alarms.unshelve)
    person.until(lambda: not _listed(person, alarm) or "shelved" not in alarms.list.text_of(alarm, 1))
    engine.call(_acknowledged(engine, alarm))


def _listed(person: Person, alarm: str) -> bool:
    keys = person.console.alarms.list.keys()
    return alarm in keys


async def _acknowledged(engine: Background, alarm: str) -> None:
    """Leave no alarm behind for the next test."""
    while (state := _state(engine, alarm)) != "normal":
        if state == "returned":
            engine.served.engine.alarms.acknowledge(alarm, Origin.user("olivia", "a test"), "")
        await engine.served.engine.scanner.next_scan()


def _state(engine: Background, alarm: str) -> str:
    return next(one.state.value for one in engine.served.engine.alarms.states() if one.spec.name == alarm)


def test_a_tripped_interlock_is_told_and_reset_with_a_reason(person: Person, engine: Background) -> None:
    person.sign_on()
    console, name = person.console, "TFF201.LOCAL"
    engine.served.sim.skid.take_over()
    person.until(lambda: name in console.banner.tripped.said)
    engine.served.sim.skid.hand_back()
    person.until(lambda: person.picture.text("TFF201.REMOTE") == "remote")
    person.go_to("alarms")
    person.until(lambda: console.alarms.interlocks.keys()[0] == name)
    assert console.alarms.interlocks.text_of(name, 0) == "✕ tripped, reset by hand"
    console.alarms.interlocks.select(name)
    person.until(lambda: console.alarms.reset.toolTip() == "A reason is needed")
    person.type(console.alarms.reason, "switched back")
    person.click(console.alarms.reset)
    person.until(lambda: console.banner.tripped.said == "")
    assert engine.served.events(Kind.INTERLOCK_RESET)[-1].body["interlock"] == name


def test_a_tag_is_commanded_by_hand_once_the_unit_is_in_manual_mode(person: Person) -> None:
    person.sign_on()
    console = person.console
    page = console.units["TFF201"]
    person.go_to("unit.TFF201")
    person.click(person.widget(QAbstractButton, "unit.TFF201.mode"))
    mode = person.widget(ModeDialog, "mode")
    person.widget(QComboBox, "mode.mode", mode).setCurrentText("manual")
    person.click(mode.ok)
    assert mode.error.said == "✕ a reason is needed"
    person.type(mode.reason, "a test")
    person.click(mode.ok)
    person.until(lambda: person.picture.units[0].mode == "manual")
    page.tags.select("TFF201.PCV101_SP")
    person.click(person.widget(QAbstractButton, "unit.TFF201.command"))
    command = person.widget(CommandDialog, "command")
    person.type(person.widget(QLineEdit, "command.value", command), "101")
    person.type(command.reason, "a test")
    person.click(command.ok)
    assert command.error.said == "✕ 101 %open is outside 0 to 100 %open"
    person.type(person.widget(QLineEdit, "command.value", command), "90")
    person.click(command.ok)
    person.until(lambda: page.tags.text_of("TFF201.PCV101_SP", 2) == "90.00")
    person.until(lambda: page.tags.text_of("TFF201.PCV101_SP", 6) == "operator olivia")
    person.click(person.widget(QAbstractButton, "unit.TFF201.mode"))
    back = person.widget(ModeDialog, "mode")
    person.widget(QComboBox, "mode.mode", back).setCurrentText("automatic")
    person.type(back.reason, "a test")
    person.click(back.ok)
    person.until(lambda: person.picture.units[0].mode == "automatic")


def test_trends_show_the_past_and_go_on_live_with_a_gap_where_a_reading_was_bad(
    person: Person, engine: Background, tmp_path: Path
) -> None:
    console = person.console
    person.go_to("trends")
    console.trends.choose("TFF201.WT_RET", "TFF201.TMP", "TFF201.XV102")
    assert len(console.trends.charts) == 3
    weight = console.trends.traces["TFF201.WT_RET"]
    person.until(lambda: len(weight) > 0)
    person.click(person.widget(QAbstractButton, "trends.span.5 min"))
    weight = console.trends.traces["TFF201.WT_RET"]
    person.until(lambda: len(weight) > 600)  # what the history has, in so many parts, and a few readings more
    before = len(weight)
    engine.served.sim.balance_links["WT-RET"].plugged = False
    person.until(lambda: person.picture.text("TFF201.WT_RET") == "Bad")
    person.until(lambda: bool(weight.bad_spans(0.0, 1e12)))
    engine.served.sim.balance_links["WT-RET"].plugged = True
    person.until(lambda: person.picture.text("TFF201.WT_RET") != "Bad")
    person.until(lambda: any(chart.shaded for chart in console.trends.charts))
    t, v = weight.points()
    assert len(t) > before
    assert (t[1:] >= t[:-1]).all()  # a part of time has its lowest and highest value
    assert v[-1] == v[-1]
    person.shot(tmp_path, "trends")
    person.click(person.widget(QAbstractButton, "trends.back"))
    person.until(lambda: console.trends.end_s is not None and console.trends._mode.said.startswith("history"))
    person.click(console.trends.live_button)
    assert console.trends.end_s is None


def test_all_views_are_reached_by_the_keyboard_and_every_widget_that_is_used_has_a_name(person: Person) -> None:
    console = person.console
    console.activateWindow()
    person.until(console.isActiveWindow)
    views = [console.overview, console.units["TFF201"], console.batches, console.trends, console.alarms]
    for number, view in enumerate(views, start=1):
        person.bot.keyClick(console, str(number), Qt.KeyboardModifier.ControlModifier)
        assert console.stack.currentWidget() is view
        used = [push for push in view.findChildren(QAbstractButton) if not isinstance(push.parent(), QLineEdit)]
        assert [push.text() for push in used if not push.objectName()] == []


def test_repaints_come_from_a_timer_and_not_from_readings(person: Person) -> None:
    ticks: list[None] = []
    deltas: list[object] = []
    person.console.scene.ticked.connect(lambda: ticks.append(None))
    person.console.scene.delta.connect(deltas.append)
    person.until(lambda: len(deltas) >= 20)
    assert len(ticks) < len(deltas)
