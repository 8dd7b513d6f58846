"""Roles and what they allow."""

import pytest

from evcontrol.access.permission import ROLES, Permission, permissions_of


def test_every_role_may_read() -> None:
    assert all(Permission.READ in allowed for allowed in ROLES.values())


def test_roles_add_up() -> None:
    both = permissions_of(["quality", "administrator"])
    assert both == {Permission.READ, Permission.SIGN, Permission.APPROVE, Permission.ADMINISTER}


def test_no_role_allows_nothing() -> None:
    assert permissions_of([]) == frozenset()


def test_who_administers_people_has_no_power_over_the_process() -> None:
    assert ROLES["administrator"] == {Permission.READ, Permission.ADMINISTER}
    assert [role for role, allowed in ROLES.items() if Permission.ADMINISTER in allowed] == ["administrator"]


def test_the_roles_cannot_be_changed_by_a_program() -> None:
    with pytest.raises(TypeError):
        ROLES["operator"] = frozenset(Permission)  # type: ignore[index]
