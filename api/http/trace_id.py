"""Trace id of a request, which answers and log lines share."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import Final

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str] = ContextVar("trace_id", default="")


def current_trace_id() -> str:
    """Return the id of the request being served, 32 hexadecimal digits."""
    return _current.get()


def begin_trace(traceparent: str) -> str:
    """Take the trace id of a W3C ``traceparent`` header, or make one; it holds for this request."""
    given = _TRACEPARENT.fullmatch(traceparent)
    trace_id = given.group(1) if given and set(given.group(1)) != {"0"} else secrets.token_hex(16)
    _current.set(trace_id)
    return trace_id
