"""Query parameters that need more than a type."""

from __future__ import annotations

from litestar.params import QueryParameter

from rapport.domain.faults import Fault
from rapport.domain.times import LATEST_MS, InstantError, parse_instant


def text_parameter(name: str, description: str) -> QueryParameter:
    """Make a parameter that holds an id, a key or another short text."""
    return QueryParameter(name=name, description=description, max_length=256)


def read_instant(name: str, given: str | int | None, faults: list[Fault]) -> int | None:
    """Read an instant between 1970 and 2100 as epoch milliseconds; add a fault for any other text."""
    if given is None:
        return None
    try:
        at_ms = parse_instant(given)
    except InstantError as error:
        faults.append(Fault(field=name, message=str(error)))
        return None
    if not 0 <= at_ms <= LATEST_MS:
        faults.append(Fault(field=name, message="must lie between 1970 and 2100"))
        return None
    return at_ms


def check_choice(name: str, value: str | None, allowed: tuple[str, ...], faults: list[Fault]) -> str:
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
    """Return the nearest number in a range."""
    return max(low, min(value, high))
