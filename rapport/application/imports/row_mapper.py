"""Mapping of a file's columns to an event's fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from xxhash import xxh3_128_hexdigest

from rapport.application.imports.cells import FIELDS, CellConverter, from_text
from rapport.application.imports.feeds import LineFault, Message
from rapport.domain.events import decode_event, make_message_key, resolve_time
from rapport.domain.events import encode_event as encode_valid
from rapport.domain.rejections import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KEY_LIMIT: Final = 256
_DECISION: Final = "decision.made.v1"
_encode_fields = msgspec.json.Encoder(decimal_format="number").encode


class MappingError(ValueError):
    """A mapping that cannot work; the text says what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """Sources of an event's fields.

    A column that is not mapped and is named like a field of the contract is that field; any other goes into the event's
    ``metadata``, as the contract has it.

    Attributes:
        columns: Column by field of the contract.
        constants: Value by field; the same for every line, whatever the file has.
        key_columns: Columns whose values identify an event; none: the file's name and the line's number do.
    """

    columns: Mapping[str, str]
    constants: Mapping[str, str]
    key_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the mapping itself, without the file.

        Raises:
            MappingError: A field is not in the contract, or is given twice.
        """
        unknown = sorted((self.columns.keys() | self.constants.keys()) - FIELDS)
        if unknown:
            raise MappingError(f"{', '.join(unknown)}: no field of an event; there are {', '.join(sorted(FIELDS))}")
        twice = sorted(self.columns.keys() & self.constants.keys())
        if self.key_columns and "idempotencyKey" in self.columns.keys() | self.constants.keys():
            twice.append("idempotencyKey")
        if twice:
            raise MappingError(f"{', '.join(twice)}: given in two ways; choose one")

    def check_columns(self, available: Iterable[str]) -> None:
        """Check that a file has the columns.

        Raises:
            MappingError: Columns are missing; the text names them, and those that the file has.
        """
        names = list(available)
        missing = sorted({*self.columns.values(), *self.key_columns} - set(names))
        if missing:
            raise MappingError(f"the file has no column {', '.join(missing)}; it has {', '.join(names)}")


def parse_assignments(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Parse ``FIELD=VALUE`` arguments.

    Raises:
        MappingError: An argument is not of this form, or a field is named twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        field, equals, value = text.partition("=")
        if not (field and equals and value):
            raise MappingError(f"{option} {text!r}: must be FIELD=VALUE")
        if field in found:
            raise MappingError(f"{option} {text!r}: {field} is given twice")
        found[field] = value
    return found


class RowMapper:
    """Maps rows to messages.

    Args:
        mapping: Sources of the fields.
        file_name: Part of the idempotency keys, unless key columns make them.
        convert: Converts cells.
        now_ms: Epoch milliseconds; timestamps may not lie far ahead of it.
        converts_unmapped: Off where a column that is named like a field already has the field's type (JSON).
    """

    def __init__(
        self,
        mapping: ColumnMapping,
        file_name: str,
        convert: CellConverter,
        *,
        now_ms: int,
        converts_unmapped: bool = True,
    ) -> None:
        self._mapping = mapping
        self._file_name = file_name
        self._convert = convert
        self._now_ms = now_ms
        self._converts_unmapped = converts_unmapped
        self._taken = frozenset({*mapping.columns.values(), *mapping.columns.keys(), *mapping.constants.keys()})
        self._constants = {field: from_text(field, text) for field, text in mapping.constants.items()}

    def prepare(self, number: int, row: Mapping[str, Any]) -> Message | LineFault:
        """Map and validate one row.

        Args:
            number: Its line number.
            row: Cell by column.
        """
        fields = self._map(row)
        if self._mapping.key_columns:
            values = [row.get(column) for column in self._mapping.key_columns]
            if None in values or "" in values:
                detail = f"{', '.join(self._mapping.key_columns)}: each must have a value, as they identify the event."
                return LineFault(number, "missing_key_column", detail)
            fields["idempotencyKey"] = xxh3_128_hexdigest(_encode_fields(values))
        elif "idempotencyKey" not in fields and not _is_decision(fields.get("type")):
            fields["idempotencyKey"] = self._default_key(number)
        try:
            text = _encode_fields(fields)
        except UnicodeEncodeError:
            return LineFault(number, "bad_utf8", "The line is not UTF-8.")
        return self._validate(number, text)

    def _map(self, row: Mapping[str, Any]) -> dict[str, Any]:
        convert, taken = self._convert, self._taken
        if self._converts_unmapped:
            cells = ((column, convert(column, cell)) for column, cell in row.items() if column not in taken)
            fields = {column: value for column, value in cells if value is not None}
        else:
            fields = {column: cell for column, cell in row.items() if column not in taken}
        for field, column in self._mapping.columns.items():
            cell = row.get(column)
            value = None if cell is None else convert(field, cell)
            if value is not None:
                fields[field] = value
        return fields | self._constants

    def _default_key(self, number: int) -> str:
        key = f"{self._file_name}:{number}"
        return key if len(key) <= _KEY_LIMIT else f"{xxh3_128_hexdigest(self._file_name.encode())}:{number}"

    def _validate(self, number: int, text: bytes) -> Message | LineFault:
        event = decode_event(text)
        if isinstance(event, Rejection):
            return LineFault(number, event.code, event.detail)
        instant = resolve_time(event.timestamp, self._now_ms)
        if isinstance(instant, Rejection):
            return LineFault(number, instant.code, instant.detail)
        return Message(make_message_key(event.tenant_id, event.customer_id), encode_valid(event))


def _is_decision(type_name: object) -> bool:
    """Return whether a ``type`` cell, text or raw JSON, names a decision, which has no idempotency key."""
    given = bytes(type_name).decode().strip('"') if isinstance(type_name, msgspec.Raw) else type_name
    return given == _DECISION
