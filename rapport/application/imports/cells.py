"""Conversion of a file's cells to the types of the event contract.

A value that does not fit is passed on unchanged, and the contract's validation reports its fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from rapport.domain.events import EVENT_TYPES
from rapport.domain.json_limits import MAX_INTEGER_DIGITS, JsonFault, decode_json, find_json_fault
from rapport.domain.number_text import parse_number
from rapport.domain.rejections import RejectionCode

CellConverter: TypeAlias = Callable[[str, Any], Any]
"""Takes a field's name and a cell; returns None to leave the field out."""

_FREE_FORM: Final = frozenset({"context", "outcomeDetails", "metadata", "decision"})
_NOT_TEXT: Final = _FREE_FORM | {"timestamp", "conversionValue", "rank"}

FIELDS: Final[frozenset[str]] = frozenset(
    field.encode_name for struct in EVENT_TYPES.values() for field in msgspec.structs.fields(struct)
)
"""Names of all fields of the contract."""


def from_text(field: str, text: str) -> Any:  # noqa: ANN401 - a JSON value
    """Convert a cell of a text file, where everything is text and empty means absent."""
    if not text:
        return None
    if field in _FREE_FORM:
        return msgspec.Raw(text.encode()) if _is_json(text) else text
    convert = _NUMBERS.get(field)
    return convert(text) if convert else text


def from_value(field: str, value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Convert a typed cell of a table."""
    if isinstance(value, str):
        return from_text(field, value) if field in _FREE_FORM else value or None
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN, and encoding it as null would lose it silently
    return _as_text_where_wanted(field, value)


def from_json(field: str, raw: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Convert a JSON value that was mapped to a field, whose type may be another than its producer's."""
    if field not in FIELDS - _NOT_TEXT:
        return raw
    value = decode_json(raw)
    return raw if isinstance(value, JsonFault) else _as_text_where_wanted(field, value)


def _as_text_where_wanted(field: str, value: Any) -> Any:  # noqa: ANN401 - a JSON value
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_integer and field in FIELDS and field not in _NOT_TEXT else value


def _is_json(text: str) -> bool:
    """Return whether a cell is JSON, also if it exceeds the accepted limits: the contract's validation reports that."""
    try:
        fault = find_json_fault(text.encode())
    except UnicodeEncodeError:  # invalid bytes are kept as surrogates up to here, so that their line can be reported
        return False
    return fault is None or fault.code is not RejectionCode.BAD_JSON


def _number(text: str) -> float | str:
    number = parse_number(text)
    return text if number is None else number


def _integer(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_INTEGER_DIGITS else text


_NUMBERS: Final[Mapping[str, Callable[[str], float | str]]] = {
    "conversionValue": _number,
    "rank": _integer,
}
