"""Cursors of paged lists: where a page ends, as text for clients."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar, get_origin

import msgspec
from litestar.params import QueryParameter

from rapport.domain.faults import Fault

P = TypeVar("P")
R = TypeVar("R")

MAX_LENGTH: Final = 6_000
"""A key of three ids of 256 characters, each of up to four bytes, in base64."""
CursorParameter = Annotated[
    str | None, QueryParameter(name="cursor", description="`nextCursor` of the page before.", max_length=MAX_LENGTH)
]
BAD_CURSOR: Final = Fault(field="cursor", message="must be the nextCursor of a page of this list")


class Pagination(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Position of a page in a list of entities.

    Attributes:
        total: Of all pages together, for the same filters.
        next_cursor: To be sent as ``cursor``; null on the last page.
        cursor: The same, by its older name.
    """

    total: int
    limit: int
    has_more: bool
    next_cursor: str | None
    cursor: str | None


class CursorPagination(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Position of a page in a list.

    Attributes:
        total: Of all pages together, for the same filters.
        next_cursor: To be sent as ``cursor``; null on the last page.
    """

    total: int
    limit: int
    has_more: bool
    next_cursor: str | None


class Cursors(Generic[P]):
    """Cursors of one list. The cursor of a page is the position of its last row, by which the list is ordered.

    A position that is one text or whole number is its own cursor; one of several values is written in base64.

    Args:
        position: Type of a position, with its bounds: a text, a whole number, or a tuple.
    """

    def __init__(self, position: Any) -> None:  # noqa: ANN401 - whatever msgspec takes for a type
        self._position = position
        self._is_key = get_origin(position) is tuple

    def read(self, text: str | None, faults: list[Fault]) -> P | None:
        """Return the position after which a page begins; None for the first page. Add a fault for any other text."""
        if text is None:
            return None
        try:
            return self._decode(text)
        except (ValueError, RecursionError):
            faults.append(BAD_CURSOR)
            return None

    def write(self, position: P) -> str:
        """Return the cursor of a position."""
        if not self._is_key:
            return str(position)
        return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")

    def cut(self, rows: Sequence[R], limit: int, find_position: Callable[[R], P]) -> tuple[Sequence[R], str | None]:
        """Cut a page from rows that were read with one more than its limit.

        Returns:
            The rows of the page and its cursor; None on the last page.
        """
        shown = rows[:limit]
        return shown, self.write(find_position(shown[-1])) if len(rows) > limit else None

    def _decode(self, text: str) -> P:
        if self._is_key:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            position: P = msgspec.json.decode(raw, type=self._position)
        else:
            position = msgspec.convert(text, self._position, strict=False)
        return position


def build_pagination(total: int, limit: int, following: str | None) -> Pagination:
    """Build the position of a page whose cursor is given; None for the last page."""
    return Pagination(total=total, limit=limit, has_more=following is not None, next_cursor=following, cursor=following)
