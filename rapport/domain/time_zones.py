"""Time zones by their IANA, Windows and offset names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from rapport.domain.windows_zones import WINDOWS_ZONES

TIME_ZONE: Final = "timeZone"
"""The attribute that names a customer's time zone."""
_NOT_ZONES: Final = {"Factory", "localtime"}
"""Names in the time zone database that are not time zones."""
WANTED_ZONE: Final = (
    "must be a time zone: an IANA name as Europe/Berlin, a fixed offset as UTC+9 or +09:00, or a Windows name as"
    " W. Europe Standard Time"
)
MAX_NAME: Final = 64
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?\s*([+-])\s*(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
_EAST, _WEST = 14, 12
"""Most hours by which clocks are ahead of UTC, and behind it."""
_BETWEEN_HOURS: Final[Mapping[str, str]] = {
    "+0330": "Asia/Tehran",
    "+0430": "Asia/Kabul",
    "+0530": "Asia/Kolkata",
    "+0545": "Asia/Kathmandu",
    "+0630": "Asia/Yangon",
    "+0845": "Australia/Eucla",
    "+0930": "Australia/Darwin",
    "-0930": "Pacific/Marquesas",
}
"""Zones without daylight saving time, for offsets that have no fixed zone."""


@cache
def resolve_zone(text: str) -> str | None:
    """Return the IANA zone that a text names: in any case, as a fixed offset, or by its Windows name.

    Abbreviations such as CST, which is several, and offsets that no clock has, are not resolved: None.
    """
    name = text.strip()
    if len(name) > MAX_NAME:
        return None
    folded = name.casefold()
    return _list_names().get(folded.replace(" ", "_")) or _list_windows_names().get(folded) or _resolve_offset(name)


@cache
def list_time_zones() -> frozenset[str]:
    """List the IANA time zones of this machine."""
    return frozenset(available_timezones()) - _NOT_ZONES


@cache
def _list_names() -> Mapping[str, str]:
    names = {name.casefold(): name for name in list_time_zones()}
    return {**names, "z": "UTC"}


@cache
def _list_windows_names() -> Mapping[str, str]:
    return {name.casefold(): zone for name, zone in WINDOWS_ZONES.items() if zone in list_time_zones()}


def _resolve_offset(name: str) -> str | None:
    offset = _OFFSET.fullmatch(name)
    if offset is None:
        return None
    sign, hours, minutes = offset[1], int(offset[2]), offset[3] or "00"
    if minutes != "00":
        return _BETWEEN_HOURS.get(f"{sign}{hours:02}{minutes}")
    if hours == 0:
        return "UTC"
    if hours > (_EAST if sign == "+" else _WEST):
        return None
    return f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"  # these names count the other way round (POSIX)
