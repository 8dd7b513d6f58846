"""The engine's log: ``log/engine.log`` under the data directory, one JSON object a line."""

from __future__ import annotations

import logging
import tempfile
import traceback
from collections.abc import MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

import structlog

MAX_BYTES: Final = 10_000_000
KEPT: Final = 5
_SECRET: Final = ("password", "token", "secret", "authorization")


def log_to(data: Path) -> Path:
    """Send all logging of this process to the log of ``data``, and return its path. OSError when it cannot be written.

    Libraries that use the standard logging land in the same file. Fields that name a secret are left out.
    """
    path = data / "log" / "engine.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8")
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("httpx", "uvicorn.access", "pymodbus"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # A log that cannot be written (disk full) must neither stop the control nor fill the terminal with traces.
    logging.raiseExceptions = False
    return path


def keep_details(error: Exception) -> Path:
    """Put an unexpected error with its traceback into the log, or without one into a new file; return the path."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RotatingFileHandler):
            structlog.get_logger(__name__).error("internal error", exc_info=error)
            return Path(handler.baseFilename)
    with tempfile.NamedTemporaryFile(
        "w", prefix="evcontrol-error-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(error, file=file)
    return Path(file.name)


def without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what stands under a name that means a secret."""
    for key in event:
        if any(word in key.lower() for word in _SECRET):
            event[key] = "***"
    return event
