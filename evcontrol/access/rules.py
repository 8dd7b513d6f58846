"""What names, roles and passwords must be like; each check raises AccessError with what to write instead."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from evcontrol.access.error import AccessError
from evcontrol.access.permission import ROLES

MIN_PASSWORD: Final = 10
"""Characters."""
MAX_PASSWORD: Final = 1024
MAX_FULL_NAME: Final = 200

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def key_of(user: str) -> str:
    """What makes a name unique: names that differ only in case are the same."""
    return user.casefold()


def canonical_password(password: str) -> str:
    """The same text for the same keys, however a keyboard composes accents."""
    return unicodedata.normalize("NFC", password)


def check_name(user: str) -> None:
    """Refuse a name that is not 1 to 64 plain letters, digits and ``. _ @ -``."""
    if not _NAME.fullmatch(user):
        raise AccessError(f"{_shown(user)} is no user name: write 1 to 64 of A-Z a-z 0-9, then also . _ @ -")


def check_full_name(full_name: str) -> None:
    """Refuse a full name that would not print as one line beside a signature."""
    printable = full_name.isprintable() and full_name == full_name.strip()
    if not full_name or not printable or len(full_name) > MAX_FULL_NAME:
        raise AccessError(
            f"{_shown(full_name)} is no full name: write one line of 1 to {MAX_FULL_NAME} printable characters"
        )


def check_roles(roles: Sequence[str]) -> None:
    """Refuse no role at all, and roles that do not exist."""
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        what = f"{_shown(unknown[0])} is no role" if unknown else "a role is missing"
        raise AccessError(f"{what}: choose from {', '.join(ROLES)}")


def check_password(password: str, user: str, full_name: str) -> None:
    """Refuse a password that is too short or the person's own name."""
    length = len(canonical_password(password))
    if length < MIN_PASSWORD:
        raise AccessError(f"the password has {length} characters: at least {MIN_PASSWORD} are needed")
    if length > MAX_PASSWORD:
        raise AccessError(f"the password has {length} characters: at most {MAX_PASSWORD} are allowed")
    if password.strip().casefold() in {user.casefold(), full_name.casefold()}:
        raise AccessError("the password is the person's own name: choose another")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 64 else text[:61] + "...")
