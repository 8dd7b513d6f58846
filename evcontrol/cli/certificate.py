"""``evcontrol certificate``: our certificate for OPC UA, and the list of servers that we trust."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from drivers.connection import LinkLostError, LinkRefusedError, os_error_words
from drivers.opcua_certificate import (
    BITS,
    Application,
    CertificateFileError,
    certificates_of,
    common_name,
    create,
    fingerprint,
    hosts_of,
    read_certificates,
    save,
    uri_of,
)
from drivers.opcua_client import endpoints_of
from drivers.opcua_security import der
from evcontrol.cli.fault import WRONG_USE, CliError
from evcontrol.cli.output import print_table, say
from evcontrol.clock import LiveClock

ANSWER_S = 5.0

app = typer.Typer(help="Certificates for OPC UA connections.", no_args_is_help=True)


@app.command("create")
def create_certificate(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for certificate.der and key.pem.")],
    uri: Annotated[
        str, typer.Option("--uri", help="Our application URI, unique in the plant.", show_default="urn:HOST:evcontrol")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="The name that servers show.")] = "evcontrol",
    hosts: Annotated[
        list[str] | None,
        typer.Option("--host", help="Name or address of this machine; may be given again.", show_default="its name"),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=36500, help="How long it is valid.")] = 1095,
    bits: Annotated[int, typer.Option("--bits", help=f"Size of the RSA key: {', '.join(map(str, BITS))}.")] = BITS[0],
) -> None:
    """Make a certificate that signs itself, and its private key, which only you can read."""
    if bits not in BITS:
        raise CliError(f"--bits {bits}: use {', '.join(map(str, BITS))}", status=WRONG_USE)
    machine = socket.gethostname()
    application = Application(name, uri or f"urn:{machine}:evcontrol", tuple(hosts or [machine]))
    try:
        made = create(application, LiveClock().wall(), days, bits)
    except ValueError as error:
        raise CliError(str(error), status=WRONG_USE) from error
    certificate, key = save(out, *made)
    _show(read_certificates(made[0])[0])
    say(f"certificate {certificate}: have the servers trust it")
    say(f"private key {key}: readable by you only, and not to leave this machine")


@app.command("trust")
def trust_certificate(
    source: Annotated[str, typer.Argument(metavar="URL|FILE", help="Server (opc.tcp://...) or file (DER, PEM).")],
    folder: Annotated[Path, typer.Option("--list", metavar="DIR", help="The trust list: a folder of certificates.")],
    yes: Annotated[bool, typer.Option("--yes", help="Trust it without asking.")] = False,
) -> None:
    """Show the certificate of a server or an authority, and add it to the trust list."""
    certificate = asyncio.run(_served(source)) if source.startswith("opc.tcp://") else _stored(Path(source))
    _show(certificate)
    if not yes and not sys.stdin.isatty():
        raise CliError("not trusted: there is no terminal to ask at; --yes trusts without asking", status=WRONG_USE)
    if not yes and not typer.confirm("Is this the fingerprint that its owner has told you?"):
        raise CliError("not trusted")
    file = folder / f"{_file_name(common_name(certificate))}-{certificate.fingerprint(hashes.SHA256()).hex()[:16]}.der"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(der(certificate))
    say(f"trusted from the next connect on: {file}")


async def _served(url: str) -> x509.Certificate:
    try:
        endpoints = await endpoints_of(url, ANSWER_S)
    except TimeoutError:
        raise CliError(f"{url}: no answer within {ANSWER_S:g} s") from None
    except OSError as error:
        raise CliError(f"{url}: {os_error_words(error)}") from error
    except (LinkLostError, LinkRefusedError) as error:
        raise CliError(f"{url}: {error}") from error
    sent = {bytes(one.ServerCertificate) for one in endpoints if one.ServerCertificate}
    try:
        certificates = [read_certificates(one)[0] for one in sent]
    except ValueError:
        raise CliError(f"{url}: the server's certificate cannot be read") from None
    if len(set(certificates)) > 1:
        raise CliError(f"{url}: the server has {len(set(certificates))} certificates: take the right one as a file")
    if not certificates:
        raise CliError(f"{url}: the server has no certificate, since it offers no secured endpoint")
    return certificates[0]


def _stored(file: Path) -> x509.Certificate:
    try:
        return certificates_of(file)[0]
    except CertificateFileError as error:
        raise CliError(str(error)) from error


def _show(certificate: x509.Certificate) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    itself = certificate.subject == certificate.issuer
    print_table(["", ""], [
        ["Name", common_name(certificate)],
        ["Application URI", uri_of(certificate) or "-"],
        ["Hosts", ", ".join(hosts_of(certificate)) or "-"],
        ["Issued by", "itself" if itself else certificate.issuer.rfc4514_string()],
        ["Valid", f"{begin:%Y-%m-%d} to {end:%Y-%m-%d}"],
        ["SHA-256", fingerprint(certificate)],
        ["SHA-1", fingerprint(certificate, hashes.SHA1())],  # noqa: S303  (what many servers show)
    ])  # fmt: skip


def _file_name(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)[:40]
