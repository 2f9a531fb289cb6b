"""Versions of stored rows, for reads without the engine's FINAL: a plain read costs a fraction of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

R = TypeVar("R", bound=tuple[Any, ...])


def newest_versions(rows: Iterable[R], key_columns: int) -> Iterable[R]:
    """Of each key, the row of the highest version.

    Args:
        rows: Each begins with its key; then come two columns by which versions ascend.
        key_columns: Of how many columns a key consists.
    """
    newest: dict[tuple[Any, ...], R] = {}
    version = slice(key_columns, key_columns + 2)
    for row in rows:
        key = row[:key_columns]
        if row[version] > newest.setdefault(key, row)[version]:
            newest[key] = row
    return newest.values()
