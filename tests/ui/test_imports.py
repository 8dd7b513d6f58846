"""The console is a client: it loads no server, and knows four modules of the engine."""

import ast
import subprocess
import sys
from pathlib import Path

import ui

ALLOWED = {f"evcontrol.api.{name}" for name in ("schema", "series", "client", "picture", "endpoint")}
LOADED = """
import sys
import ui.app
print(sorted(m for m in ("fastapi", "starlette", "uvicorn", "evcontrol.engine", "drivers") if m in sys.modules))
"""


def test_importing_the_console_loads_no_server() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_of_the_engine_it_imports_messages_client_picture_and_endpoint_only() -> None:
    (folder,) = ui.__path__
    named = set()
    for path in Path(folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("evcontrol"):
                alone = node.module == "evcontrol.api"
                named |= {f"{node.module}.{name.name}" for name in node.names} if alone else {str(node.module)}
            elif isinstance(node, ast.Import):
                named |= {name.name for name in node.names if name.name.startswith("evcontrol")}
    assert named == ALLOWED
