"""``evcontrol recipe``: the life of master recipes, and how two versions differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evcontrol.api.client import Client
from evcontrol.api.recipe_schema import RecipeSummary, RecipeText
from evcontrol.cli.batch import WhyOption, said
from evcontrol.cli.connect import DEFAULT_DATA, AsUser, Data, login_name, reading, signed_on, signing
from evcontrol.cli.output import AsJson, print_json, print_table, say
from evcontrol.cli.secret import PasswordStdin
from evcontrol.clock import iso
from evcontrol.journal.recipes import APPROVED
from evcontrol.procedure.difference import differences
from evcontrol.procedure.recipe import Recipe, load_recipe, parse_recipe

app = typer.Typer(no_args_is_help=True, help="Hand recipes in, approve and retire them, and compare versions.")

Version = Annotated[str, typer.Argument(help="The version, by the first digits of its hash (at least eight).")]
Reason = Annotated[str, WhyOption]
SHORT = 12
"""Digits of a hash that are shown."""


@app.command()
def submit(
    recipe: Annotated[Path, typer.Argument(help="The recipe file.")],
    reason: Reason,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Hand a recipe in for review."""
    text, why = recipe.read_text(encoding="utf-8"), said(reason)
    view = signed_on(data, user, password_stdin, lambda client: client.submit_recipe(text, recipe.name, why))
    say(f"{_name(view)} is {view.state}: `evcontrol recipe approve {view.hash[:SHORT]}` by somebody else comes next")


@app.command()
def approve(
    version: Version,
    reason: Reason,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Approve a version for GMP batches: a signature, of somebody else than who handed it in."""
    view = _decide("approve", version, reason, data, user, password_stdin)
    if view.requalify:
        say(f"{view.product} is made with a changed recipe now: it needs to be qualified again")


@app.command()
def reject(
    version: Version,
    reason: Reason,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Send a version back to its author: a signature."""
    _decide("reject", version, reason, data, user, password_stdin)


@app.command()
def retire(
    version: Version,
    reason: Reason,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Have no more GMP batches started with a version: a signature."""
    _decide("retire", version, reason, data, user, password_stdin)


@app.command()
def requalified(
    product: Annotated[str, typer.Argument(help="The product, as the recipe calls it.")],
    reason: Reason,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Put down that a product was qualified again after its recipe had changed: a signature."""
    why = said(reason)
    signing(data, user, password_stdin, lambda client, secret: client.requalified(product, why, secret))
    say(f"{product} is qualified with its present recipe")


@app.command("list")
def list_recipes(data: Data = DEFAULT_DATA, json: AsJson = False) -> None:
    """List every version that was handed in."""
    found = reading(data, lambda client: client.recipes())
    if json:
        print_json(found)
        return
    rows = [[v.hash[:SHORT], v.name, v.version, v.state, _product(v)] for v in found]
    print_table(["Version", "Recipe", "No.", "State", "Product"], rows, whole=1)


@app.command()
def show(
    version: Version,
    data: Data = DEFAULT_DATA,
    text: Annotated[bool, typer.Option("--text", help="Print the recipe itself.")] = False,
    json: AsJson = False,
) -> None:
    """Show a version: its state, who decided what and why, and how it differs from the approved one; or its text."""
    found, approved = reading(data, lambda client: _with_approved(client, version))
    view = found.summary
    if json:
        print_json(found)
    elif text:
        typer.echo(found.text, nl=False)
    else:
        say(f"{_name(view)} is {view.state}; product: {_product(view)}\nSHA-256 {view.hash}")
        rows = [[iso(c.t), c.old, c.new, c.by.removeprefix("user:"), c.reason] for c in view.changes]
        print_table(["When (process time)", "From", "To", "Who", "Why"], rows)
        if approved is not None:
            say(f"against {_name(approved.summary)}, which is approved:")
            _say_differences(differences(_parsed(approved), _parsed(found)))


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="A recipe file, or a version by the first digits of its hash.")],
    new: Annotated[str, typer.Argument(help="Another one.")],
    data: Data = DEFAULT_DATA,
    json: AsJson = False,
) -> None:
    """Tell how two versions differ, in the terms of recipes; files need no engine."""
    found = differences(_either(old, data), _either(new, data))
    if json:
        print_json({"differences": found})
        return
    _say_differences(found)


async def _with_approved(client: Client, version: str) -> tuple[RecipeText, RecipeText | None]:
    """A version, and the approved one of the same recipe when that is another."""
    found = await client.recipe(version)
    for one in await client.recipes():
        if (one.name, one.state) == (found.summary.name, APPROVED) and one.hash != found.summary.hash:
            return found, await client.recipe(one.hash)
    return found, None


def _say_differences(found: list[str]) -> None:
    for line in found:
        say(line)
    if not found:
        say("the two say the same")


def _parsed(found: RecipeText) -> Recipe:
    return parse_recipe(found.text, found.summary.file)


def _either(which: str, data: Path) -> Recipe:
    path = Path(which)
    if path.exists():
        return load_recipe(path)
    return _parsed(reading(data, lambda client: client.recipe(which)))


def _decide(decision: str, version: str, reason: str, data: Path, user: str, from_stdin: bool) -> RecipeSummary:
    why = said(reason)
    view = signing(data, user, from_stdin, lambda client, secret: client.decide_recipe(version, decision, why, secret))
    say(f"{_name(view)} is {view.state}, signed by {user or login_name()}")
    return view


def _name(view: RecipeSummary) -> str:
    return f"{view.name} {view.version} ({view.hash[:SHORT]})"


def _product(view: RecipeSummary) -> str:
    return f"{view.product} (needs to be qualified again)" if view.requalify else view.product
