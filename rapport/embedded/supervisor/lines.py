"""Parsing of a child's output: the level of a line and, for JSON logs, a readable line."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_NAMED_LEVEL = re.compile(r"\b(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)\b")
_CRASH = re.compile(r"^Traceback \(most recent call last\)|panicked at|^Exception in thread|^Error: ")
_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
_NOT_FOR_PEOPLE = frozenset({"level", "timestamp", "event", "message", "logger"})


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a child's output.

    Attributes:
        text: For a terminal: without colours, JSON as `event key=value`.
        level: A level of `logging`, or None where the line does not tell.
    """

    text: str
    level: int | None


def read_line(raw: bytes) -> LogLine:
    """Parse one line of output; every input is accepted."""
    text = _ANSI.sub("", raw.decode("utf-8", "replace")).rstrip()
    if text.startswith("{"):
        try:
            fields = json.loads(text)
        except ValueError:
            return LogLine(text, level=None)
        level = _LEVELS.get(str(fields.get("level", "")).lower())
        return LogLine(_render(fields) if level is not None else text, level)
    if _CRASH.search(text):
        return LogLine(text, logging.ERROR)
    named = _NAMED_LEVEL.search(text, 0, 120)
    return LogLine(text, _LEVELS[named[1].lower()] if named else None)


def _render(fields: dict[str, object]) -> str:
    event = str(fields.get("event", fields.get("message", "")))
    pairs = (f"{name}={_last_line(value)}" for name, value in fields.items() if name not in _NOT_FOR_PEOPLE)
    return " ".join((event, *pairs))


def _last_line(value: object) -> str:
    """Return the line of a traceback in a JSON field that names the error; the whole is in the log file."""
    return str(value).rstrip().rpartition("\n")[2]
