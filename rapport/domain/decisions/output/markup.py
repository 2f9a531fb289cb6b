"""Structure of an HTML text: tags, code and quoted attributes, read in one pass from left to right.

The position of every placeholder in a template is looked up, and templates can be long: no text is scanned twice.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_OPENS: Final = re.compile(r"<[A-Za-z/{]")
_CODE: Final = re.compile(r"<(script|style)\b", re.IGNORECASE)
_END_OF_CODE: Final = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("script", "style")}
_SPECIAL: Final = re.compile("[\"'>]")
_TAG_NAME: Final = re.compile(r"<[^\s\"'>]+")
_ATTRIBUTE: Final = re.compile(r"\s++(?P<name>[^\s\"'>=]++)(?P<gives>\s*+=\s*+)?")
_UNQUOTED: Final = re.compile(r"[^\s\"'>]++")
_SPACE: Final = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class MarkupRegion:
    """Range of a tag, or of a script or style element with its content."""

    start: int
    end: int
    is_code: bool


@dataclass(frozen=True, slots=True)
class TagAttribute:
    """Quoted attribute value in a tag.

    Attributes:
        name: Name of the attribute in lower case.
        start: Position behind the opening quote.
        end: Position of the closing quote.
        text_at: Position of the first character that is no space.
    """

    name: str
    start: int
    end: int
    text_at: int


def find_regions(text: str) -> Iterator[MarkupRegion]:
    """Find the tags and code elements of a text, in their order; an unclosed tag is none."""
    tag_ends = _TagEnds(text)
    match = _OPENS.search(text)
    while match is not None:
        start = match.start()
        code = _CODE.match(text, start)
        if code is not None:
            closing = _END_OF_CODE[code[1].lower()].search(text, code.end())
            end: int | None = len(text) if closing is None else closing.end()
        else:
            end = tag_ends.find_end(start + 2)
        if end is not None:
            yield MarkupRegion(start, end, code is not None)
        match = _OPENS.search(text, start + 1 if end is None else end)


def find_attributes(text: str, region: MarkupRegion) -> Iterator[TagAttribute]:
    """Find the quoted attribute values of a tag, up to the first that cannot be parsed."""
    name = _TAG_NAME.match(text, region.start, region.end)
    at = region.start if name is None else name.end()
    while (match := _ATTRIBUTE.match(text, at, region.end)) is not None:
        at = match.end()
        if match["gives"] is None:
            continue
        quote = text[at : at + 1]
        if quote in ('"', "'"):
            end = text.find(quote, at + 1, region.end)
            if end < 0:
                return
            spaces = _SPACE.match(text, at + 1, end)
            yield TagAttribute(match["name"].lower(), at + 1, end, spaces.end() if spaces else at + 1)
            at = end + 1
        else:
            value = _UNQUOTED.match(text, at, region.end)
            if value is None:
                return
            at = value.end()


class MarkupReader:
    """Reader that locates positions in a text; they must be passed in ascending order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._regions = find_regions(text)
        self._region = next(self._regions, None)
        self._attributes: Iterator[TagAttribute] = iter(())
        self._attribute: TagAttribute | None = None
        self._inside: MarkupRegion | None = None
        self._read_to = 0
        self._is_unclosed = False

    def find_region(self, at: int) -> MarkupRegion | None:
        """Return the region that contains a position; None between regions."""
        while self._region is not None and self._region.end <= at:
            self._region = next(self._regions, None)
        return self._region if self._region is not None and self._region.start < at else None

    def find_attribute(self, at: int) -> TagAttribute | None:
        """Return the quoted attribute value that contains a position; None outside of one."""
        region = self.find_region(at)
        if region is None:
            return None
        if region is not self._inside:
            self._inside = region
            self._attributes = find_attributes(self._text, region)
            self._attribute = next(self._attributes, None)
        while self._attribute is not None and self._attribute.end < at:
            self._attribute = next(self._attributes, None)
        return self._attribute if self._attribute is not None and self._attribute.start <= at else None

    def is_in_unclosed_tag(self, at: int) -> bool:
        """Return whether a tag begins before a position and is not closed up to it."""
        closed_at = self._text.rfind(">", self._read_to, at)
        begin = max(self._read_to - 1, 0) if closed_at < 0 else closed_at + 1
        opens = _OPENS.search(self._text, begin, at) is not None
        self._is_unclosed = opens or (self._is_unclosed and closed_at < 0)
        self._read_to = at
        return self._is_unclosed


class _TagEnds:
    """Ends of tags: the first unquoted ``>`` after each position, computed once from right to left."""

    def __init__(self, text: str) -> None:
        self._at = [match.start() for match in _SPECIAL.finditer(text)]
        self._ends: list[int | None] = [None] * (len(self._at) + 1)
        following: dict[str, int] = {}
        for index in range(len(self._at) - 1, -1, -1):
            sign = text[self._at[index]]
            if sign == ">":
                self._ends[index] = self._at[index] + 1
            elif sign in following:
                self._ends[index] = self._ends[following[sign] + 1]
            if sign != ">":
                following[sign] = index

    def find_end(self, position: int) -> int | None:
        """Return the position behind the ``>`` that ends a tag; None if the tag is never closed."""
        return self._ends[bisect_left(self._at, position)]
