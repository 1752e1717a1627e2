"""The log: what a command does, for whoever watches it; never what it decides, which is in the ledger.

Law: standard error and, where asked for, a file; one event a line, readable on a terminal, JSON everywhere
else.  Errors of pykka and other libraries come through the same door.  A log line carries no secret and is
never read by the program.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import threading
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from grinder.observation.redaction import REDACTOR

QUIET, CHATTY = "warning", "info"

FILE_BYTES = 100_000_000
FILE_COUNT = 10
"""A log file is set aside when it has grown to this size, and this many of those are kept."""

CORRELATION: ContextVar[int] = ContextVar("correlation", default=0)
"""Ledger position of the input that is being answered; 0 outside of any."""

ACTOR: ContextVar[str] = ContextVar("actor", default="")
"""Who is at work; empty for whoever the thread belongs to."""

FileHandler = logging.handlers.RotatingFileHandler

_FIRST = ("ts", "level", "event", "correlation_id", "actor")


@contextmanager
def correlated(position: int, actor: str = "") -> Iterator[None]:
    """Lines logged inside belong to the input at this position of the ledger."""
    before = CORRELATION.set(position)
    named = ACTOR.set(actor) if actor else None
    try:
        yield
    finally:
        CORRELATION.reset(before)
        if named is not None:
            ACTOR.reset(named)


def configure(verbose: bool, as_json: bool, file: Path | None = None) -> None:
    """Set the log up for this process.

    Args:
        verbose: show what is going on; otherwise only warnings and errors.
        as_json: one JSON object a line, also on a terminal.
        file: also write to this file, as JSON and always with what is going on; rotated at `FILE_BYTES`,
            `FILE_COUNT` old ones are kept.

    Raises:
        OSError: the file cannot be opened.
    """
    shown = _level(CHATTY if verbose else QUIET)
    last: Any = structlog.processors.JSONRenderer(default=repr)
    if not as_json and sys.stderr.isatty():
        plain = structlog.dev.plain_traceback  # a drawn traceback breaks lines, and shows what variables hold
        last = structlog.dev.ConsoleRenderer(exception_formatter=plain)
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(shown)
    screen.setFormatter(_formatter(last))
    _install([screen] if file is None else [screen, _to_file(file)])


def keep_in_file(file: Path) -> None:
    """Also write to a file from now on, as `configure` does.

    Raises:
        OSError: the file cannot be opened.
    """
    shown = [one for one in logging.getLogger().handlers if one.formatter is not None]
    _install([*(one for one in shown if not isinstance(one, FileHandler)), _to_file(file)])


def _to_file(file: Path) -> logging.Handler:
    kept = FileHandler(file, maxBytes=FILE_BYTES, backupCount=FILE_COUNT, encoding="utf-8")
    kept.setLevel(_level(CHATTY))
    kept.setFormatter(_formatter(structlog.processors.JSONRenderer(default=repr)))
    return kept


def _install(handlers: list[logging.Handler]) -> None:
    least = min(handler.level for handler in handlers)
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    root = logging.getLogger()
    for old in root.handlers:
        if isinstance(old, FileHandler):
            old.close()
    root.handlers[:] = handlers
    root.setLevel(least)
    _hide_in_tracebacks()


def logger() -> Any:
    """The log; silent below warnings where no command line has set it up (structlog would print)."""
    if not structlog.is_configured():
        structlog.configure(
            processors=[*_shared(), *_shaped(), structlog.processors.JSONRenderer(default=repr)],
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
    return structlog.get_logger()


def _level(name: str) -> int:
    return logging.getLevelNamesMapping()[name.upper()]


def _shared() -> list[Any]:
    """What every line goes through, ours and those of other libraries, where it is logged."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _add_context,
    ]


def _shaped(tracebacks: bool = True) -> list[Any]:
    """What every line goes through last, before it becomes text."""
    # No local variables: they would show what was never meant to be logged.
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    trace = [structlog.processors.ExceptionRenderer(transformer)] if tracebacks else [_text_of_exception]
    return [*trace, _redact, _in_order]


def _formatter(last: Any) -> structlog.stdlib.ProcessorFormatter:
    is_json = isinstance(last, structlog.processors.JSONRenderer)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_shaped(is_json),
            last,
        ],
    )


def _add_context(log: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.setdefault("correlation_id", CORRELATION.get())
    thread = threading.current_thread()
    named = "main" if thread is threading.main_thread() else thread.name
    event.setdefault("actor", ACTOR.get() or named)
    return event


def _text_of_exception(log: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A traceback as text, so that it is redacted before the console shows it."""
    result: MutableMapping[str, Any] = structlog.processors.format_exc_info(log, method, event)
    return result


def _redact(log: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    redacted: MutableMapping[str, Any] = REDACTOR.value(dict(event))
    return redacted


def _in_order(log: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    first = {name: event[name] for name in _FIRST if name in event}
    return {**first, **{name: value for name, value in event.items() if name not in first}}


# --- what nobody caught --------------------------------------------------------------------------------


def _hide_in_tracebacks() -> None:
    """Tracebacks that Python prints by itself go through the redaction too; other people's hooks stay."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _print_redacted
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _print_thread_redacted


def _print_redacted(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None, where: str = ""
) -> None:
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(REDACTOR.text(where + text))


def _print_thread_redacted(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and not issubclass(found.exc_type, SystemExit):
        name = found.thread.name if found.thread else "a thread"
        _print_redacted(
            found.exc_type, found.exc_value, found.exc_traceback, f"Exception in thread {name}:\n"
        )
