"""What people may do, and the roles that say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Permission(StrEnum):
    """What one may be allowed to do."""

    READ = "read"
    OPERATE = "operate"  # batches and their prompts
    COMMAND = "command"  # manual commands, modes, loops
    ACKNOWLEDGE = "acknowledge"  # alarms
    SHELVE = "shelve"  # alarms, for a limited time
    ADJUST = "adjust"  # alarms: their setpoints
    DISABLE = "disable"  # alarms: out of service
    RESET = "reset"  # tripped interlocks
    BYPASS = "bypass"  # interlocks, for a limited time, with a signature
    FORCE = "force"  # values in place of readings, for tests
    STEER = "steer"  # jumps and live parameters of batches, with a signature
    AUTHOR = "author"  # recipes: hand them in for review
    APPROVE = "approve"  # recipes, and products that were requalified, with a signature
    SIGN = "sign"
    ADMINISTER = "administer"  # people


_OPERATOR: Final = frozenset(
    {
        Permission.READ,
        Permission.OPERATE,
        Permission.COMMAND,
        Permission.ACKNOWLEDGE,
        Permission.SHELVE,
        Permission.SIGN,
    }
)

ROLES: Final[Mapping[str, frozenset[Permission]]] = MappingProxyType(
    {
        "operator": _OPERATOR,
        "supervisor": _OPERATOR
        | {
            Permission.RESET,
            Permission.ADJUST,
            Permission.DISABLE,
            Permission.BYPASS,
            Permission.STEER,
            Permission.AUTHOR,
        },
        "quality": frozenset({Permission.READ, Permission.SIGN, Permission.APPROVE}),
        "engineer": frozenset(
            {
                Permission.READ,
                Permission.COMMAND,
                Permission.ACKNOWLEDGE,
                Permission.SHELVE,
                Permission.ADJUST,
                Permission.RESET,
                Permission.FORCE,
                Permission.AUTHOR,
            }
        ),
        # Who hands out access has none to the process by that.
        "administrator": frozenset({Permission.READ, Permission.ADMINISTER}),
    }
)
"""The permissions of each role; a person has those of all their roles."""


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """What all these roles together allow; KeyError for a role that does not exist."""
    return frozenset().union(*(ROLES[role] for role in roles))
