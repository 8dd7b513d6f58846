"""``evcontrol batch``: batches of a running engine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evcontrol.api.client import Client
from evcontrol.api.schema import BatchCommand, BatchSummary, BatchView, PromptView, Reconciliation, StartBatch
from evcontrol.cli.connect import DEFAULT_DATA, AsUser, Data, login_name, reading, signed_on, signing
from evcontrol.cli.fault import WRONG_USE, CliError
from evcontrol.cli.message import message
from evcontrol.cli.output import AsJson, print_json, print_table, say
from evcontrol.cli.secret import PasswordStdin, password
from evcontrol.cli.settings import parameters_of
from evcontrol.procedure.states import FINAL

app = typer.Typer(no_args_is_help=True, help="Start, watch and command batches of a running engine.")

Batch = Annotated[str, typer.Argument(help="The batch, such as B-0001.")]
WhyOption = typer.Option("--reason", "-r", help="Why; the journal keeps it.")
Why = Annotated[str, WhyOption]
AtPath = Annotated[str, typer.Option("--path", help="Only this element, by its place in the procedure.")]


@app.command()
def start(
    recipe: Annotated[Path, typer.Argument(help="The recipe file.")],
    purpose: Annotated[str, typer.Option("--purpose", help="What the batch is for.")],
    product: Annotated[str, typer.Option("--product", help="The product to be made.")] = "",
    parameters: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the recipe, as NAME=VALUE with its unit.")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="gmp, which needs an approved recipe, or training.",
            show_default="training on simulated equipment, else gmp",
        ),
    ] = "",
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
    json: AsJson = False,
) -> None:
    """Start a batch from a recipe."""
    wanted = message(
        StartBatch,
        recipe=recipe.read_text(encoding="utf-8"),
        recipe_name=recipe.name,
        parameters=parameters_of(parameters or []),
        purpose=purpose,
        product=product,
        kind=kind,
    )
    view = signed_on(data, user, password_stdin, lambda client: client.start_batch(wanted))
    if json:
        print_json(view)
    else:
        say(f"batch {view.summary.batch} is {view.summary.state}{_marked(view.summary)}")


@app.command("list")
def list_batches(data: Data = DEFAULT_DATA, json: AsJson = False) -> None:
    """List all batches that the engine knows."""
    batches = reading(data, lambda client: client.batches())
    if json:
        print_json(batches)
    else:
        print_table(["Batch", "Recipe", "State", "Running", "Waiting for"], [_line(b) for b in batches], whole=1)


@app.command()
def show(batch: Batch, data: Data = DEFAULT_DATA, json: AsJson = False) -> None:
    """Show a batch as a tree: states, what it waits for, and the commands that are valid now."""
    view = reading(data, lambda client: client.batch(batch))
    if json:
        print_json(view)
    else:
        _print_tree(view)


@app.command()
def hold(
    batch: Batch,
    reason: Why = "",
    path: AtPath = "",
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Hold a batch: its units go to their safe state."""
    _command(message(BatchCommand, command="hold", reason=reason, path=path), batch, data, user, password_stdin)


@app.command()
def restart(
    batch: Batch,
    reason: Annotated[str, WhyOption],
    path: AtPath = "",
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Let a held batch go on."""
    command = message(BatchCommand, command="restart", reason=said(reason), path=path)
    _command(command, batch, data, user, password_stdin)


@app.command()
def pause(
    batch: Batch,
    reason: Why = "",
    path: AtPath = "",
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Pause a batch at the next place where it may wait."""
    _command(message(BatchCommand, command="pause", reason=reason, path=path), batch, data, user, password_stdin)


@app.command()
def resume(
    batch: Batch,
    reason: Why = "",
    path: AtPath = "",
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Let a paused batch go on."""
    _command(message(BatchCommand, command="resume", reason=reason, path=path), batch, data, user, password_stdin)


@app.command()
def stop(
    batch: Batch,
    reason: Why = "",
    path: AtPath = "",
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Stop a batch for good, orderly."""
    _command(message(BatchCommand, command="stop", reason=reason, path=path), batch, data, user, password_stdin)


@app.command()
def abort(
    batch: Batch,
    reason: Why = "",
    path: AtPath = "",
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Abort a batch at once."""
    _command(message(BatchCommand, command="abort", reason=reason, path=path), batch, data, user, password_stdin)


@app.command()
def answer(
    batch: Batch,
    value: Annotated[str, typer.Argument(help="The answer: a number in the asked unit, a choice, a text, or yes.")],
    prompt: Annotated[str, typer.Option("--prompt", help="Which question, when several are open.")] = "",
    comment: Annotated[str, typer.Option("--comment", help="A remark; the journal keeps it.")] = "",
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Answer a question of a batch."""

    asked = _asked(reading(data, lambda client: client.batch(batch)).prompts, batch, prompt)
    name = user or login_name()
    if asked.meaning:
        say(f"{asked.text}\nThis signs, as {name}: {asked.meaning}")
    secret = password(password_stdin, f"Password of {name}")

    async def work(client: Client) -> None:
        await client.answer(batch, asked.prompt, value, comment, secret if asked.meaning else "")

    signed_on(data, name, password_stdin, work, secret)
    say(f"{asked.text}: {value}")


@app.command("sign-reconciliation")
def sign_reconciliation(
    batch: Batch,
    comment: Annotated[str, typer.Option("--comment", help="A remark; the journal keeps it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking again.")] = False,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Show what an outage changed, and sign it, so that the batch may be restarted."""
    name = user or login_name()
    shown = reading(data, lambda client: client.reconciliation(batch))
    _print_reconciliation(shown)
    confirm_signature(yes, name)
    signing(
        data, name, password_stdin,
        lambda client, secret: client.sign_reconciliation(batch, shown.shown_hash, secret, comment),
    )  # fmt: skip
    say(f"signed by {name}; batch {batch} may be restarted")


def _command(command: BatchCommand, batch: str, data: Path, user: str, from_stdin: bool) -> None:
    view = signed_on(data, user, from_stdin, lambda client: client.command_batch(batch, command))
    states = {element.path: element.state for element in view.elements}
    what = f"{command.path} of batch" if command.path else "batch"
    say(f"{what} {view.summary.batch} is {states.get(command.path, view.summary.state)}")


def confirm_signature(yes: bool, name: str) -> None:
    """Ask whether what was shown is to be signed, unless ``yes``. CliError when it is not."""
    if not yes and not sys.stdin.isatty():
        raise CliError("not signed: there is no terminal to ask at; --yes signs without asking", status=WRONG_USE)
    if not yes and not typer.confirm(f"Sign this as {name}?"):
        raise CliError("not signed")


def said(reason: str) -> str:
    """A reason that says something. CliError for an empty one."""
    if not reason.strip():
        raise CliError("--reason is empty: say why", status=WRONG_USE)
    return reason


def _asked(prompts: list[PromptView], batch: str, wanted: str) -> PromptView:
    if wanted:
        prompts = [prompt for prompt in prompts if prompt.prompt == wanted]
    if not prompts:
        raise CliError(f"batch {batch} has no open question{f' {wanted}' if wanted else ''}")
    if len(prompts) > 1:
        names = ", ".join(f"'{prompt.prompt}'" for prompt in prompts)
        raise CliError(f"batch {batch} has several open questions: choose with --prompt ({names})", status=WRONG_USE)
    return prompts[0]


def _line(batch: BatchSummary) -> list[str]:
    state = f"{batch.state}, reconciliation to be signed" if batch.reconciliation_due else batch.state
    waiting = (text.partition(": ") for text in batch.waiting)
    waits = [] if batch.state in FINAL else [f"{_name(path)}: {what}" if what else path for path, _, what in waiting]
    return [
        batch.batch,
        batch.recipe + _marked(batch),
        state,
        ", ".join(_name(path) for path in batch.running),
        "; ".join(waits),
    ]


def _marked(batch: BatchSummary) -> str:
    """How a batch that is for training only is marked, and one whose recipe was changed while it ran."""
    marks = [f"revision {batch.revision}"] if batch.revision else []
    marks += [f"training, recipe {batch.recipe_state}"] if batch.kind == "training" else []
    return f" ({'; '.join(marks)})" if marks else ""


def _name(path: str) -> str:
    """The last part of an element's place, which a table has room for."""
    return path.rpartition("/")[2]


def _print_tree(view: BatchView) -> None:
    summary = view.summary
    recipe, units = f"{summary.recipe}{_marked(summary)}", ", ".join(summary.units) or "no unit"
    say(f"batch {summary.batch}: {recipe}, {summary.state}, on {units}")
    if summary.reconciliation_due:
        say(f"after an outage: `evcontrol batch sign-reconciliation {summary.batch}` comes before restart")
    rows = []
    for element in view.elements:
        depth = element.path.count("/") + 1 if element.path else 0
        name = element.path.rpartition("/")[2] or "procedure"
        rows.append(["  " * depth + name, element.state, element.waiting, " ".join(element.commands)])
    print_table(["Element", "State", "Waits for", "Possible now"], rows)
    for prompt in view.prompts:
        choices = f" ({', '.join(prompt.choices)})" if prompt.choices else ""
        say(f"question '{prompt.prompt}': {prompt.text}{choices}{f' [{prompt.unit}]' if prompt.unit else ''}")


def _print_reconciliation(shown: Reconciliation) -> None:
    say(f"batch {shown.batch} was without its engine for {shown.outage_s:.0f} s of process time")
    print_table(["What", "Expected", "Read", "Verdict"], [[i.what, i.expected, i.read, i.verdict] for i in shown.items])
