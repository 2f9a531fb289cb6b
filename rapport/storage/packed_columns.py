"""Columns ``packed``: a row once more as a JSON array, because a read costs what its columns cost. Decoded here alone.

The tables' CREATEs write them; values stand in the order of the types below. JSON was measured against a tuple column,
which is stored as one column per element, and against RowBinary: see benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

_SummaryValues = tuple[int, int, int, int, int, int, int, Decimal, int, str, str]
_SummaryTexts = tuple[int, int, int, int, int, int, int, str, int, str, str]
_EventValues = tuple[str, int, str, str, bool, str, str, str, str, Decimal | None, str, int, str, int]
# not strict: a profile may have 64-bit numbers quoted in JSON
_summary_decoder: Final = msgspec.json.Decoder(list[_SummaryValues], strict=False)
_summary_text_decoder: Final = msgspec.json.Decoder(list[_SummaryTexts], strict=False)
_event_decoder: Final = msgspec.json.Decoder(list[_EventValues], strict=False)
_VALUE: Final = "total_value"
_SUMMARY_COLUMNS: Final[Mapping[str, Any]] = {
    "applied_offset": pl.UInt64,
    "stored_at_ms": pl.Int64,
    **dict.fromkeys(("impressions", "positive", "negative", "neutral", "converts"), pl.UInt64),
    _VALUE: pl.String,
    "last_contact_at_ms": pl.Int64,
    "last_outcome": pl.String,
    "last_direction": pl.String,
}


def unpack_summaries(found: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield summary rows: the frame's columns, and instead of the last, ``packed``, the values in it."""
    return _unpack(found, _summary_decoder)


def unpack_events(found: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield events: the frame's columns, and instead of the last, ``packed``, the values in it."""
    return _unpack(found, _event_decoder)


def unpack_summary_columns(found: pl.DataFrame) -> pl.DataFrame:
    """Replace the column ``packed`` of many summary rows by columns of the values in it."""
    rows = _summary_text_decoder.decode(_join(found["packed"]))
    columns = zip(*rows, strict=True) if rows else ((),) * len(_SUMMARY_COLUMNS)
    series = [
        pl.Series(name, values, dtype=dtype)
        for (name, dtype), values in zip(_SUMMARY_COLUMNS.items(), columns, strict=True)
    ]
    return found.drop("packed").with_columns(series).with_columns(pl.col(_VALUE).cast(pl.Decimal(38, 6)))


def _unpack(found: pl.DataFrame, decoder: msgspec.json.Decoder[Any]) -> Iterator[tuple[Any, ...]]:
    if found.is_empty():
        return
    *keys, packed = found.get_columns()
    for key, values in zip(zip(*keys, strict=True), decoder.decode(_join(packed)), strict=True):
        yield key + values


def _join(packed: pl.Series) -> str:
    return "[" + ",".join(packed) + "]"
