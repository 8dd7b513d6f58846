"""``evcontrol browse``: what an OPC UA server has, as a list and as a part of a plant file."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from drivers.connection import LinkLostError, LinkRefusedError, os_error_words
from drivers.opcua_browse import Bounds, Tree, Variable, browse
from drivers.opcua_client import Entrance, TcpOpcUaSession
from drivers.opcua_identity import User
from drivers.opcua_messages import status_name
from drivers.opcua_options import OpcUaSecurity, Policy, SecurityMode, is_url
from drivers.opcua_security import Credentials
from drivers.opcua_session import OpcUaRefusedError
from evcontrol.cli.browse_plant import fragment
from evcontrol.cli.fault import WRONG_USE, CliError
from evcontrol.cli.output import AsJson, print_json, print_table, say
from evcontrol.cli.secret import PasswordStdin, password

_File = Path | None


def browse_server(
    url: Annotated[str, typer.Argument(metavar="URL", help="The server: opc.tcp://HOST:PORT/PATH.")],
    *,
    namespace: Annotated[
        str, typer.Option("--namespace", help="Only variables of this namespace (URI).", show_default="all")
    ] = "",
    depth: Annotated[int, typer.Option("--depth", min=1, max=100, help="Levels below Objects.")] = 10,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Most variables.")] = 5000,
    whole: Annotated[bool, typer.Option("--whole", help="Also the server's own diagnostics.")] = False,
    plant: Annotated[
        _File, typer.Option("--plant", metavar="FILE", help="Write devices and tags for a plant file; - prints them.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Name of the device in the plant file.")] = "OPCUA",
    policy: Annotated[Policy, typer.Option("--policy", help="Security policy.")] = Policy.BASIC256SHA256,
    mode: Annotated[SecurityMode, typer.Option("--mode", help="Security mode.")] = SecurityMode.SIGN_AND_ENCRYPT,
    certificate: Annotated[_File, typer.Option("--certificate", metavar="FILE", help="Our certificate.")] = None,
    key: Annotated[_File, typer.Option("--key", metavar="FILE", help="Its private key.")] = None,
    trusted: Annotated[_File, typer.Option("--trusted", metavar="DIR", help="The trust list.")] = None,
    any_host: Annotated[bool, typer.Option("--any-host", help="Whatever host the certificate is for.")] = False,
    user: Annotated[str, typer.Option("--user", help="The server's user.", show_default="nobody")] = "",
    user_certificate: Annotated[
        _File, typer.Option("--user-certificate", metavar="FILE", help="Certificate of the user.")
    ] = None,
    user_key: Annotated[_File, typer.Option("--user-key", metavar="FILE", help="Its private key.")] = None,
    password_stdin: PasswordStdin = False,
    password_in_clear: Annotated[
        bool, typer.Option("--password-in-clear", help="Allow the password to be sent in clear.")
    ] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, max=60, help="Seconds for each answer.")] = 5.0,
    json: AsJson = False,
) -> None:
    """List the variables of an OPC UA server, and write them as a part of a plant file; nothing is written to it."""
    if not device.replace("_", "").replace("-", "").isalnum():
        raise CliError(f"--device {device!r}: letters, digits, - and _", status=WRONG_USE)
    if not is_url(url):
        raise CliError(f"{url!r} is not opc.tcp://HOST:PORT/PATH", status=WRONG_USE)
    if plant is not None and str(plant) != "-" and plant.exists():
        raise CliError(f"{plant} is there already and is not overwritten: give another name", status=WRONG_USE)
    certified = None if user_certificate is None or user_key is None else (user_certificate, user_key)
    files = {"certificate": certificate, "key": key, "trusted": trusted}
    security = _security({"policy": policy, "mode": mode, "check_host": not any_host} | files)
    secret = password(password_stdin, f"Password of {user}") if user else ""

    def entrance() -> Entrance:
        who = User.certified(*certified) if certified else User(user or None, secret, password_in_clear)
        return Entrance(url, None, timeout_s, who, security=None if security is None else Credentials.of(security))

    tree = _only(asyncio.run(_browsed(url, timeout_s, entrance, Bounds(depth, limit), whole)), namespace)
    if plant is not None:
        text = fragment(tree, device, url, _options(security, user, password_in_clear, certified))
        if str(plant) == "-":
            sys.stdout.write(text)
            return
        plant.write_text(text, encoding="utf-8")
    if json:
        variables = [_plain(variable) for variable in tree.variables]
        print_json({"namespaces": list(tree.namespaces), "cut": tree.cut, "variables": variables})
        return
    _print(tree)
    if plant is not None:
        say(f"devices and tags for a plant file: {plant}")


def _options(
    security: OpcUaSecurity | None, user: str, in_clear: bool, certified: tuple[Path, Path] | None
) -> dict[str, Any]:
    """How the driver gets in, as the plant file says it; of a password where it is."""
    options: dict[str, Any] = {}
    if certified:
        options = {"user_certificate": str(certified[0]), "user_key": str(certified[1])}
    elif user:
        options = {"user": user, "password_env": "OPCUA_PASSWORD"} | ({"password_in_clear": True} if in_clear else {})
    if security is not None:
        options["security"] = security.model_dump(mode="json")
    return options


def _security(given: dict[str, Any]) -> OpcUaSecurity | None:
    files = [name for name in ("certificate", "key", "trusted") if given[name] is not None]
    if not files:
        return None
    if len(files) < 3:
        raise CliError("--certificate, --key and --trusted go together", status=WRONG_USE)
    try:
        return OpcUaSecurity.model_validate(given)
    except ValidationError as error:
        raise CliError(str(error.errors()[0]["msg"]), status=WRONG_USE) from error


async def _browsed(url: str, timeout_s: float, entrance: Any, bounds: Bounds, whole: bool) -> Tree:
    try:
        async with asyncio.timeout(3 * timeout_s):
            session = await TcpOpcUaSession.open(entrance())
        try:
            return await browse(session, bounds, whole=whole)
        finally:
            await session.close()
    except TimeoutError:
        raise CliError(f"{url}: no answer within {timeout_s:g} s") from None
    except OSError as error:
        raise CliError(f"{url}: {os_error_words(error)}") from error
    except (LinkLostError, LinkRefusedError) as error:
        raise CliError(f"{url}: {error}") from error
    except OpcUaRefusedError as error:
        raise CliError(f"{url}: the server answered: {status_name(error.code)}") from error


def _only(tree: Tree, namespace: str) -> Tree:
    if not namespace:
        return tree
    if namespace not in tree.namespaces:
        raise CliError(f"the server has no namespace {namespace!r}; it has {', '.join(tree.namespaces)}")
    return Tree(tree.namespaces, tuple(v for v in tree.variables if v.namespace == namespace), tree.cut)


def _plain(variable: Variable) -> dict[str, Any]:
    shown = asdict(variable)
    return {**shown, "path": "/".join(variable.path), "labels": list(variable.labels)}


def _print(tree: Tree) -> None:
    for uri in dict.fromkeys(variable.namespace for variable in tree.variables):
        say(f"namespace {uri}")
        rows = [_row(variable) for variable in tree.variables if variable.namespace == uri]
        print_table(["Node", "Path", "Type", "Access", "Unit", "Range"], rows)
    say(f"{len(tree.variables)} variables" + (f"; {tree.cut}" if tree.cut else ""))


def _row(variable: Variable) -> list[str]:
    access = ("r" if variable.readable else "") + ("w" if variable.writable else "")
    span = "" if variable.low is None or variable.high is None else f"{variable.low:g} to {variable.high:g}"
    kind = variable.type.value if variable.type is not None else "-"
    return [variable.node, "/".join(variable.path), kind, access, variable.unit, span or ", ".join(variable.labels)]
