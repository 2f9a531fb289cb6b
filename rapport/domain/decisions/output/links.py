"""Addresses with placeholders: the part of an address that a value becomes, and its safe encoding there.

A value that is a whole address may lead anywhere, but only with an allowed scheme. A value inside an address is one
piece of it: it can neither change the host nor leave the path. Browsers parse addresses leniently (WHATWG URL): they
ignore tabs and line breaks, and treat a backslash as a slash.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote

ValueWriter: TypeAlias = Callable[[str], str | None]
"""Encodes a value for its position in an address; None if the value is not allowed there."""

SCHEMES: Final = ("http", "https", "mailto", "tel", "sms")
"""Allowed schemes of an address that comes from a value; one without a scheme is relative."""
ADDRESS_ATTRIBUTES: Final = frozenset(
    re.findall(
        r"\S+",
        """
        action archive background cite classid codebase data dynsrc formaction href icon longdesc lowsrc manifest poster
        profile src usemap xlink:href xml:base
        """,
    )
)
"""Attributes of HTML and SVG that hold one address."""
TEXT_ATTRIBUTES: Final = frozenset(
    re.findall(
        r"\S+",
        """
        abbr accept-charset align alt autocomplete bgcolor border cellpadding cellspacing charset class color cols
        colspan coords cx cy datetime dir download enctype face for headers height hreflang hspace id inputmode itemprop
        kind label lang list max maxlength media min minlength name pattern placeholder points property r rel role rows
        rowspan rx ry scope shape size sizes slot span start step summary tabindex target title translate type valign
        value viewbox vspace width wrap x x1 x2 xml:lang y y1 y2
        """,
    )
)
"""Attributes that browsers treat as text; values in any other attribute are refused, because they might run code."""
TEXT_PREFIXES: Final = ("aria-", "data-")
_EXECUTABLE_SCHEMES: Final = ("javascript", "vbscript", "data", "blob", "filesystem", "view-source")
_IMAGE: Final = re.compile(r"data:image/(?:png|gif|jpeg|webp|avif|bmp|x-icon)[;,]", re.IGNORECASE)
_IGNORED: Final = re.compile(r"[\t\n\r]")
_LEADING: Final = "".join(map(chr, range(33)))
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_UNTIL_PATH: Final = re.compile(r"[^/?#]*")
_DOTS: Final = re.compile(r"(?:\.|%2e)+", re.IGNORECASE)
_STEPS: Final = re.compile(r"[/\\]")


class AddressPart(Enum):
    """Part of an address that a value becomes."""

    WHOLE = auto()
    OPAQUE = auto()
    HOST = auto()
    PATH = auto()
    QUERY = auto()


class AddressPosition(NamedTuple):
    """Position of a value in an address.

    Attributes:
        fault: Reason why no value is safe there; else empty.
    """

    part: AddressPart
    fault: str = ""


def normalise_address(text: str) -> str:
    """Return an address as browsers parse it."""
    return _IGNORED.sub("", text).lstrip(_LEADING).replace("\\", "/")


def find_address_fault(text: str) -> str:
    """Return the fault of an address in a template: a scheme that browsers execute; empty for an allowed address."""
    scheme = _SCHEME.match(normalise_address(text))
    if scheme is None or scheme[1].lower() not in _EXECUTABLE_SCHEMES or _IMAGE.match(normalise_address(text)):
        return ""
    return f"is an address that begins with {scheme[1].lower()}:, which browsers run or show as a page"


def locate_value(before: str, after: str) -> AddressPosition:
    """Determine the part of an address that a value becomes.

    Args:
        before: Text of the address before the value; other placeholders in it are replaced by NUL.
        after: Text of the address after the value, likewise.
    """
    text = normalise_address(before)
    scheme = _SCHEME.match(text)
    rest = text[scheme.end() :] if scheme else text
    if "?" in rest or "#" in rest:
        return AddressPosition(AddressPart.QUERY)
    if rest.startswith("//") and "/" not in rest[2:]:
        return _locate_in_host(rest[2:], _cut_at_path(after))
    if "/" in rest:
        return AddressPosition(AddressPart.PATH)
    if scheme is None and ":" in _cut_at_path(after):
        return AddressPosition(AddressPart.WHOLE, "stands before a colon and would be the scheme of the address")
    return AddressPosition(AddressPart.OPAQUE if scheme else AddressPart.PATH if text else AddressPart.WHOLE)


def _locate_in_host(before: str, after: str) -> AddressPosition:
    is_end = not re.search(r"[A-Za-z0-9]", after.partition(":")[0])
    if is_end and before.strip("\0"):
        return AddressPosition(
            AddressPart.HOST, "ends the name of a host and could make another one of it; write a / before it"
        )
    return AddressPosition(AddressPart.HOST)


def _cut_at_path(text: str) -> str:
    match = _UNTIL_PATH.match(text)
    return match[0] if match else ""


def choose_writer(part: AddressPart, before: str, after: str) -> ValueWriter:
    """Return the function that encodes a value for its part; ``before`` and ``after`` as for :func:`locate_value`."""
    match part:
        case AddressPart.WHOLE:
            return _write_address_before_path if after.startswith("/") else write_address
        case AddressPart.HOST:
            return lambda text: quote(text, safe="", errors="replace") if text else None
        case AddressPart.PATH:
            return _write_new_segment if normalise_address(before).endswith("/") else _write_segment
        case AddressPart.OPAQUE:
            return lambda text: quote(text, safe="@+", errors="replace")
        case AddressPart.QUERY:
            return lambda text: quote(text, safe="", errors="replace")


def write_address(text: str) -> str | None:
    """Encode a value that is a whole address; None if its scheme is not allowed."""
    stripped = text.strip().strip(_LEADING)
    scheme, colon, _ = _cut_at_path(stripped).partition(":")
    return None if _CONTROL.search(stripped) or (colon and scheme.lower() not in SCHEMES) else stripped


def _write_address_before_path(text: str) -> str | None:
    """Encode a value that a path follows; None for slashes alone, which would turn the path into a host."""
    address = write_address(text)
    return None if address is None or (address and not address.strip("/")) else address


def _write_new_segment(text: str) -> str | None:
    """Encode a value that begins a path segment; None for an empty one: two slashes would turn the rest into a host."""
    return _write_segment(text) if text else None


def _write_segment(text: str) -> str | None:
    """Encode a value as a path segment or a part of one; None if it contains a step like ``..``."""
    if any(_DOTS.fullmatch(step) for step in _STEPS.split(text)):
        return None
    return quote(text, safe="", errors="replace")
