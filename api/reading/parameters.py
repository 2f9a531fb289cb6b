"""Query parameters that need more than a type."""

from __future__ import annotations

from typing import Final

from litestar.params import QueryParameter

from api.errors import Fault
from api.times import parse_time

MAX_MS: Final = 4_102_444_800_000


def text_parameter(name: str, description: str) -> QueryParameter:
    """A parameter that holds an id, a key or another short text."""
    return QueryParameter(name=name, description=description, max_length=256)


def parse_instant(name: str, text: str | None, faults: list[Fault]) -> int | None:
    """Read ISO 8601 or epoch milliseconds; what cannot be read joins the faults."""
    if text is None:
        return None
    at_ms = int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else parse_time(text)
    if at_ms is None or not 0 <= at_ms <= MAX_MS:
        faults.append(Fault(field=name, message="must be ISO 8601, as 2026-03-15T14:30:00Z, or epoch milliseconds"))
        return None
    return at_ms


def one_of(name: str, value: str | None, allowed: tuple[str, ...], faults: list[Fault]) -> str:
    """Check a parameter with few values."""
    if value is not None and value not in allowed:
        faults.append(Fault(field=name, message=f"must be one of {', '.join(allowed)}"))
        return ""
    return value or ""


def same(name: str, value: str | None, alias: str, other: str | None, faults: list[Fault]) -> str:
    """Take a parameter by its name or its alias; both must not differ."""
    if value is not None and other is not None and value != other:
        faults.append(Fault(field=alias, message=f"is an older name of {name}; give one of them"))
    return value if value is not None else other or ""


def clamp(value: int, low: int, high: int) -> int:
    """The nearest number in a range."""
    return max(low, min(value, high))
