"""Structured logs: JSON lines, or readable ones on a terminal."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog
from stamina.instrumentation import set_on_retry_hooks

from rapport.terminal import visible

if TYPE_CHECKING:
    from rapport.settings import Settings


def configure_logs(settings: Settings) -> None:
    """Send all logs, those of libraries too, to stderr in one format. Called once, by process entry points."""
    is_console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderers: list[structlog.types.Processor] = (
        [_escape_texts, structlog.dev.ConsoleRenderer()] if is_console else [structlog.processors.JSONRenderer()]
    )
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # before any work on a line that is not written
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for chatty in ("aiokafka", "faust", "mode", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    for repeated in ("clickhouse_connect", "urllib3"):  # their errors reach us as exceptions
        logging.getLogger(repeated).setLevel(logging.CRITICAL)
    set_on_retry_hooks([])  # retries are logged by the code that knows what is tried again


def _escape_texts(_logger: object, _name: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Escape terminal control characters in a line's texts."""
    return {name: visible(value) if isinstance(value, str) else value for name, value in event.items()}
