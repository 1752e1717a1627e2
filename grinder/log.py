"""The log: what a command does, for whoever watches it; never what it decides, which is in the ledger.

Law: standard error only, one event a line: readable on a terminal, JSON everywhere else.  Errors of pykka and
other libraries come through the same door.  A log line carries no secret and is never read by the program.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

QUIET, CHATTY = "warning", "info"


def configure(verbose: bool, as_json: bool) -> None:
    """Set the log up for this process.

    Args:
        verbose: show what is going on; otherwise only warnings and errors.
        as_json: one JSON object a line, also on a terminal.
    """
    level = logging.getLevelNamesMapping()[(CHATTY if verbose else QUIET).upper()]
    plain = as_json or not sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last = structlog.processors.JSONRenderer() if plain else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.processors.dict_tracebacks, last] if plain else [*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def logger() -> Any:
    """The log; silent below warnings where no command line has set it up (structlog would print)."""
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
    return structlog.get_logger()
