"""``people.json``: read with the place of every fault, replaced whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, model_validator

from evcontrol.access.error import AccessError
from evcontrol.access.rules import check_full_name, check_name, check_roles, key_of


class Record(BaseModel):
    """One person as the file keeps them; times are the machine's UTC ns."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    user: str
    full_name: str
    roles: tuple[str, ...]
    disabled: bool = False
    password: str  # argon2id, in its own text form
    password_set: NonNegativeInt  # its age is for the periodic review
    failures: NonNegativeInt = 0  # wrong passwords in a row
    locked_at: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Self:
        try:
            check_name(self.user)
            check_full_name(self.full_name)
            check_roles(self.roles)
            extract_parameters(self.password)
        except AccessError as error:
            raise ValueError(str(error)) from None
        except InvalidHashError:
            raise ValueError(f"the password of {self.user} is not kept as an argon2 hash") from None
        return self


def load(path: Path) -> dict[str, Record]:
    """Everybody by the key of their name, nobody when there is no file; AccessError with the place of the damage."""
    try:
        content = _Content.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise AccessError(f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        raise _damaged(path, _first_fault(error)) from None
    records: dict[str, Record] = {}
    for position, record in enumerate(content.people):
        if records.setdefault(key_of(record.user), record) is not record:
            raise _damaged(path, f"people.{position}: the name {record.user} is there twice")
    return records


def store(path: Path, records: Iterable[Record]) -> None:
    """Replace the file, which only its owner can read, whole or not at all; OSError when the disk refuses."""
    content = _Content(version=1, people=tuple(records)).model_dump_json(indent=1) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Literal[1]
    people: tuple[Record, ...]


def _damaged(path: Path, fault: str) -> AccessError:
    return AccessError(f"{path} is damaged: {fault}; restore it from a backup")


def _first_fault(error: ValidationError) -> str:
    """Place and message; never the input, which holds password hashes."""
    fault = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place}: {fault['msg']}" if place else fault["msg"]


def _sync_directory(directory: Path) -> None:
    """Make the replacement itself last; Windows has no such call and does not need it."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
