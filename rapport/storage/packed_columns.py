"""Columns ``packed``: a row once more as a JSON array, because a read costs what its columns cost. Decoded here alone.

The tables' CREATEs write them; values stand in the order of the types below. JSON was measured against a tuple column,
which is stored as one column per element, and against RowBinary: see benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import polars as pl

_SummaryValues = tuple[int, int, int, int, int, int, int, Decimal, int, str, str]
_EventValues = tuple[str, int, str, str, bool, str, str, str, str, Decimal | None, str, int, str, int]
# not strict: a profile may have 64-bit numbers quoted in JSON
_summary_decoder: Final = msgspec.json.Decoder(list[_SummaryValues], strict=False)
_event_decoder: Final = msgspec.json.Decoder(list[_EventValues], strict=False)


def unpack_summaries(found: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield summary rows: the frame's columns, and instead of the last, ``packed``, the values in it."""
    return _unpack(found, _summary_decoder)


def unpack_events(found: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield events: the frame's columns, and instead of the last, ``packed``, the values in it."""
    return _unpack(found, _event_decoder)


def _unpack(found: pl.DataFrame, decoder: msgspec.json.Decoder[Any]) -> Iterator[tuple[Any, ...]]:
    if found.is_empty():
        return
    *keys, packed = found.get_columns()
    for key, values in zip(zip(*keys, strict=True), decoder.decode(_join(packed)), strict=True):
        yield key + values


def _join(packed: pl.Series) -> str:
    return "[" + ",".join(packed) + "]"
