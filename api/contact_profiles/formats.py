"""Formats of contact profiles, and content negotiation between them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from typing import Final

from mimeparse import MimeTypeParseException, best_match, parse_media_range

from api.http.errors import ApiError, invalid
from rapport.domain.faults import Fault

MAX_ACCEPT: Final = 4_096
"""Characters of all ``Accept`` headers together."""


class Format(StrEnum):
    """Media types that answers come in; of equals the earlier one is taken."""

    JSON = "application/json"
    HAL = "application/hal+json"
    XML = "application/xml"
    TEXT_XML = "text/xml"
    CSV = "text/csv"


def choose_format(accept: Iterable[str]) -> Format:
    """Choose the format that ``Accept`` headers prefer (RFC 9110, section 12.5.1).

    The most specific range that covers a format says how much it is wanted, and 0 that it is not. Ranges that cannot
    be read are passed over; without any header it is JSON.

    Raises:
        ApiError: 406; none is wanted. 400; there is too much to read.
    """
    given = ",".join(accept)
    if not given.strip():
        return Format.JSON
    if len(given) > MAX_ACCEPT:
        raise invalid(Fault(field="Accept", message=f"has {len(given):,} characters; {MAX_ACCEPT:,} are allowed"))
    wanted = best_match(list(reversed(Format)), ",".join(_readable(given.lower())))  # what it prefers comes last
    if not wanted:
        available = ", ".join(Format)
        fault = Fault(field="Accept", message=f"available are {available}")
        raise ApiError(406, f"Nothing that Accept names is available; available are {available}.", details=[fault])
    return Format(wanted)


def _readable(given: str) -> Iterable[str]:
    for one in given.split(","):
        with suppress(MimeTypeParseException):
            parse_media_range(one)
            yield one
