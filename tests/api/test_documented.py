"""docs/reference/api.md names every route, topic, permission and role, and nothing that is not there."""

import re
from pathlib import Path

from fastapi.routing import APIRoute
from starlette.routing import WebSocketRoute

from evcontrol.access.permission import ROLES, Permission
from evcontrol.api import bypass_schema, recipe_schema, schema, steer_schema
from evcontrol.api.server import ROUTERS

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text(encoding="utf-8")


def routes() -> set[str]:
    found = set()
    for module in ROUTERS:
        for route in module.router.routes:
            path = re.sub(r":\w+}", "}", str(getattr(route, "path", "")))
            if isinstance(route, APIRoute):
                found |= {f"{method} {path}" for method in route.methods}
            else:
                assert isinstance(route, WebSocketRoute) or "WebSocket" in type(route).__name__
                found.add(f"GET {path}")
    return found


def test_every_route_is_named_and_no_other() -> None:
    named = {f"{method} {path}" for method, path in re.findall(r"`(GET|POST|DELETE) ([^`?]+)[^`]*`", TEXT)}
    assert named == routes()


def test_every_message_that_is_named_is_in_the_schema() -> None:
    named = set(re.findall(r"`([A-Z][a-z]+[A-Za-z]*)`", TEXT)) - {"Origin"}
    assert named
    assert [
        name
        for name in named
        if not any(hasattr(module, name) for module in (schema, bypass_schema, recipe_schema, steer_schema))
    ] == []


def test_every_topic_and_permission_is_explained() -> None:
    for word in (*schema.Topic, *Permission):
        assert f"`{word.value}`" in TEXT


def test_the_table_of_permissions_is_that_of_the_roles() -> None:
    for permission in set(Permission) - {Permission.READ}:
        (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{permission.value}` |")]
        named = {role.strip() for role in row.split("|")[3].split(",")}
        assert named == {role for role, allowed in ROLES.items() if permission in allowed}
