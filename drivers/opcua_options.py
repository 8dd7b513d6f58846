"""What a plant file says of an OPC UA server."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from drivers.connection import LinkRefusedError
from drivers.driver import Model
from drivers.opcua_points import is_identifier


class Mode(StrEnum):
    """How readings come."""

    SUBSCRIBE = "subscribe"
    """The server samples and reports what changes."""
    READ = "read"
    """Every point is asked for at every scan."""


class Trigger(StrEnum):
    """What a server reports of a variable."""

    TIMESTAMP = "timestamp"
    """Every sample with a new time stamp, also of the same value."""
    VALUE = "value"
    """Changes of value or status only."""


class OpcUaWatchdog(Model):
    """A variable with the time after which the device goes to its safe state unless it is fed."""

    node: Annotated[str, Field(min_length=1)]
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Seconds per count."""
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Seconds of process time."""


class Policy(StrEnum):
    """Security policies that are not broken, as their URIs end (OPC 10000-7); weakest first."""

    AES128_SHA256_RSAOAEP = "Aes128_Sha256_RsaOaep"
    BASIC256SHA256 = "Basic256Sha256"
    AES256_SHA256_RSAPSS = "Aes256_Sha256_RsaPss"


class SecurityMode(StrEnum):
    """What is done with every message."""

    SIGN = "Sign"
    SIGN_AND_ENCRYPT = "SignAndEncrypt"


class OpcUaSecurity(Model):
    """How messages are secured, who we are, and whom we trust; nothing else than this is accepted of a server."""

    policy: Policy = Policy.BASIC256SHA256
    mode: SecurityMode = SecurityMode.SIGN_AND_ENCRYPT
    certificate: Path
    """Our certificate (DER or PEM), with our application URI."""
    key: Path
    """Its private key (PEM or DER, not encrypted)."""
    trusted: Path
    """Folder with the certificates of the servers, or of who issued them."""
    check_host: bool = True
    """Whether the host in ``url`` must be one of the server's certificate."""


class OpcUaOptions(Model):
    """An OPC UA server, over TCP."""

    url: str
    """``opc.tcp://HOST:PORT/PATH``, without user and password."""
    namespace: Annotated[str, Field(min_length=1)]
    """URI of the namespace of the points; its index may change from one start of the server to the next."""
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Real seconds within which every answer must come, and within which the server must report something."""
    mode: Mode = Mode.SUBSCRIBE
    publishing_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
    """Real seconds between two reports of the server."""
    sampling_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1
    """Real seconds between two samples of a variable; 0 is as fast as the server can."""
    queue_size: Annotated[int, Field(ge=2, le=1000)] = 10
    """Samples of a variable that the server keeps between two reports."""
    trigger: Trigger = Trigger.TIMESTAMP
    max_nodes: Annotated[int, Field(ge=3, le=1000)] = 250
    """Most variables in one request."""
    user: Annotated[str, Field(min_length=1)] | None = None
    password_env: Annotated[str, Field(min_length=1)] | None = None
    """Name of the environment variable with the user's password."""
    password_file: Path | None = None
    """File of which the first line is the user's password."""
    password_in_clear: bool = False
    """Whether the password may be sent in clear, where everybody on the network can read it."""
    user_certificate: Path | None = None
    """Certificate of the user (DER or PEM), instead of name and password."""
    user_key: Path | None = None
    """Its private key (PEM or DER, not encrypted)."""
    security: OpcUaSecurity | None = None
    """None is no security at all."""
    heartbeat: Annotated[str, Field(min_length=1)] | None = None
    """Node (integer or Boolean) of which any change feeds the device's watchdog."""
    watchdog: OpcUaWatchdog | None = None
    """Watchdog time that is written on every connect, when the device does not have it already."""
    start_counter: str | None = None
    """Tag that goes up at each start of the device."""

    @model_validator(mode="after")
    def _consistent(self) -> OpcUaOptions:
        for wrong, message in self._mistakes():
            if wrong:
                raise ValueError(message)
        return self

    def _mistakes(self) -> Iterable[tuple[bool, str]]:
        yield not is_url(self.url), "url is not opc.tcp://HOST:PORT/PATH"
        yield "@" in urlsplit(self.url).netloc, "no user and no password in url: use user and password_env"
        yield self.publishing_s > self.timeout_s / 2, "publishing_s must be half of timeout_s at the most"
        given = [self.password_env, self.password_file].count(None)
        yield self.user is not None and given != 1, "user needs password_env or password_file, one of them"
        yield self.user is None and given != 2, "password_env and password_file need user"
        certified = [self.user_certificate, self.user_key].count(None)
        yield certified == 1, "user_certificate and user_key go together"
        yield certified == 0 and self.user is not None, "user or user_certificate, not both"
        yield certified == 0 and self.security is None, "user_certificate needs security"
        yield self.password_in_clear and self.user is None, "password_in_clear needs user"
        nodes = [self.heartbeat, self.watchdog.node if self.watchdog else None]
        for node in nodes:
            yield node is not None and not is_identifier(node), f"node {node!r} is no identifier"


def is_url(text: str) -> bool:
    """Whether a text is the address of a server."""
    try:
        parts = urlsplit(text)
        return parts.scheme == "opc.tcp" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def password_of(options: OpcUaOptions) -> str:
    """The user's password; LinkRefusedError when it is not where the options say."""
    if options.password_env is not None:
        password = os.environ.get(options.password_env, "")
        if not password:
            raise LinkRefusedError(f"environment variable {options.password_env} has no password of {options.user!r}")
        return password
    if options.password_file is None:
        return ""
    try:
        lines = options.password_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    if not lines or not lines[0]:
        raise LinkRefusedError(f"{options.password_file} has no password of {options.user!r}")
    return lines[0]
