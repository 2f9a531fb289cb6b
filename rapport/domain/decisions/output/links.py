"""Addresses with placeholders: which part of one a value becomes, and how it may be written there.

A value that is an address by itself may lead anywhere, but only by a scheme that opens something. A value inside an
address is one piece of it: it neither makes another host of it nor climbs out of its path. Browsers read addresses more
kindly than they are written (WHATWG URL): they leave out tabs and line breaks, and take a backslash for a slash.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote

ValueWriter: TypeAlias = Callable[[str], str | None]
"""Writes a value into an address; None if it must not be there."""

SCHEMES: Final = ("http", "https", "mailto", "tel", "sms")
"""What an address that a value brings along may begin with; without a scheme it is one of the site's own."""
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
"""Attributes that browsers take for text; of those that are not listed nobody knows what a value could do in them."""
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
    """The part of an address that a value becomes."""

    WHOLE = auto()
    OPAQUE = auto()
    HOST = auto()
    PATH = auto()
    QUERY = auto()


class AddressPosition(NamedTuple):
    """Where a value stands in an address.

    Attributes:
        fault: Why no value is safe there; empty if some are.
    """

    part: AddressPart
    fault: str = ""


def normalise_address(text: str) -> str:
    """Return an address as browsers read it."""
    return _IGNORED.sub("", text).lstrip(_LEADING).replace("\\", "/")


def find_address_fault(text: str) -> str:
    """Return what is wrong with the address that an author has written; empty for one that may be shown."""
    scheme = _SCHEME.match(normalise_address(text))
    if scheme is None or scheme[1].lower() not in _EXECUTABLE_SCHEMES or _IMAGE.match(normalise_address(text)):
        return ""
    return f"is an address that begins with {scheme[1].lower()}:, which browsers run or show as a page"


def locate_value(before: str, after: str) -> AddressPosition:
    """Tell where a value stands.

    Args:
        before: The text of the address before it; other values in it are a NUL.
        after: Likewise the text after it.
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
    found = _UNTIL_PATH.match(text)
    return found[0] if found else ""


def choose_writer(part: AddressPart, before: str, after: str) -> ValueWriter:
    """How to write a value where it stands.

    Args:
        part: What it becomes.
        before: As of :func:`locate_value`.
        after: Likewise.
    """
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
    """Write a value that is an address by itself."""
    stripped = text.strip().strip(_LEADING)
    scheme, colon, _ = _cut_at_path(stripped).partition(":")
    return None if _CONTROL.search(stripped) or (colon and scheme.lower() not in SCHEMES) else stripped


def _write_address_before_path(text: str) -> str | None:
    """A value that a path follows: slashes alone would make a host of what follows."""
    found = write_address(text)
    return None if found is None or (found and not found.strip("/")) else found


def _write_new_segment(text: str) -> str | None:
    """A value that begins a segment: an empty one would leave two slashes, before what would be a host."""
    return _write_segment(text) if text else None


def _write_segment(text: str) -> str | None:
    """One segment of a path, or a part of one, that does not climb."""
    if any(_DOTS.fullmatch(step) for step in _STEPS.split(text)):
        return None
    return quote(text, safe="", errors="replace")
