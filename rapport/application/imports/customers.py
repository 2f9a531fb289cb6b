"""Import of customers from a file: NDJSON, CSV or Parquet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from rapport.application.imports.feeds import LineFault
from rapport.application.imports.row_mapper import MappingError
from rapport.domain.faults import Fault
from rapport.domain.json_limits import JsonFault, decode_json, find_value_fault
from rapport.domain.profiles.attributes import ID_NAMES, AttributeSchema
from rapport.domain.profiles.rows import CustomerRow, read_row
from rapport.storage.customer_upserts import UpsertOptions, upsert_rows

if TYPE_CHECKING:
    from rapport.application.imports.readers import FileRow, Table
    from rapport.application.imports.run import ProgressObserver
    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store

BATCH_ROWS: Final = 10_000
_ID: Final = ID_NAMES[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeMapping:
    """Attributes that columns hold. Columns that are not mapped are attributes by their own names.

    Attributes:
        columns: Column by attribute.
        key: Column with the ids; empty for ``customerId`` or ``customer_id``.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    key: str = ""

    def check_columns(self, available: Sequence[str]) -> None:
        """Check that a file has the columns.

        Raises:
            MappingError: Columns are missing; the text names them, and those that the file has.
        """
        missing = sorted({*self.columns.values(), *([self.key] if self.key else [])} - set(available))
        if not self.key and not set(ID_NAMES).intersection(available):
            missing.append(" or ".join(ID_NAMES))
        if missing:
            has = ", ".join(available)
            raise MappingError(f"the file has no column {', '.join(missing)}; it has {has}. See --key and --map.")

    def names(self) -> Mapping[str, str]:
        """Return the attribute of each mapped column; ``customerId`` for the id's."""
        named = {column: attribute for attribute, column in self.columns.items()}
        return named | ({self.key: _ID} if self.key else {})


@dataclass(slots=True)
class CustomerImport:
    """Result of an import.

    Attributes:
        rows: Number of valid rows.
        created: New customers.
        changed: Customers whose attributes changed.
        unchanged: Customers for whom the file holds nothing new.
        faulty_lines: Lines that were left out.
        seconds: From the first line read to the last one stored.
    """

    rows: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    faulty_lines: int = 0
    seconds: float = 0.0

    @property
    def rows_per_second(self) -> float:
        """Rate over the whole run."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTarget:
    """Tenant that customers are imported into.

    Attributes:
        form: Attributes as the tenant's schemas define them.
    """

    store: Store
    tenant_id: str
    author: Author
    form: AttributeSchema


def import_customers(
    table: Table,
    mapping: AttributeMapping,
    into: ImportTarget,
    observer: ProgressObserver,
    *,
    replaces: bool = False,
    batch_rows: int = BATCH_ROWS,
) -> CustomerImport:
    """Import the customers of a file. Importing it again changes nothing.

    Args:
        table: The file.
        mapping: Attributes that the columns hold.
        into: The tenant to import into.
        observer: Receives progress and faults.
        replaces: Whether a row replaces all attributes of a customer, or only those it has.
        batch_rows: Rows per write.

    Raises:
        MappingError: The file lacks columns of the mapping.
        StorageError: The database does not answer, or refuses; rows already stored stay.
    """
    if table.columns is not None:
        mapping.check_columns(table.columns)
    options = UpsertOptions(replaces=replaces, is_text=table.kind == "csv")
    loaded, started_at = CustomerImport(), time.perf_counter()
    for entries, position in _split_into_batches(table, mapping, batch_rows):
        rows = [one for one in entries if isinstance(one, CustomerRow)]
        line_faults = [one for one in entries if isinstance(one, LineFault)]
        result = upsert_rows(into.store, into.tenant_id, into.author, into.form, rows, options)
        line_faults += [_build_fault(number, faults) for number, faults in result.faults.items()]
        for line in sorted(line_faults):
            observer.report_fault(line)
        loaded.rows += len(rows) - len(result.faults)
        loaded.created += result.created
        loaded.changed += result.changed
        loaded.unchanged += result.unchanged
        loaded.faulty_lines += len(line_faults)
        observer.report_position(position, loaded.rows, loaded.faulty_lines)
    loaded.seconds = time.perf_counter() - started_at
    return loaded


def _split_into_batches(
    table: Table, mapping: AttributeMapping, batch_rows: int
) -> Iterator[tuple[Sequence[CustomerRow | LineFault], int]]:
    names, convert = mapping.names(), _CONVERTERS[table.kind]
    pending: list[CustomerRow | LineFault] = []
    position = 0
    for chunk in table.chunks:
        pending += [one if isinstance(one, LineFault) else _convert_row(one, names, convert) for one in chunk.rows]
        position = chunk.position
        while len(pending) >= batch_rows:
            yield pending[:batch_rows], position
            pending = pending[batch_rows:]
    if pending:
        yield pending, position


def _convert_row(row: FileRow, names: Mapping[str, str], convert: Callable[[Any], Any]) -> CustomerRow | LineFault:
    try:
        cells = {
            names.get(column, column): value
            for column, cell in row.cells.items()
            if (value := convert(cell)) is not _ABSENT
        }
    except UnicodeEncodeError as error:
        return LineFault(row.number, "bad_value", f"A value cannot be read: {error}.")
    for name, value in cells.items():
        if isinstance(value, JsonFault):
            return LineFault(row.number, value.code, value.described(name))
    for name in ID_NAMES:
        if isinstance(cells.get(name), int) and not isinstance(cells[name], bool):
            cells[name] = str(cells[name])
    found = read_row(row.number, cells)
    return found if isinstance(found, CustomerRow) else _build_fault(row.number, [found])


def _build_fault(number: int, faults: Sequence[Fault]) -> LineFault:
    return LineFault(number, "invalid_customer", "; ".join(f"{fault.field}: {fault.message}" for fault in faults))


_ABSENT: Final = object()
"""Value of an empty cell."""


def _from_json(cell: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    return decode_json(cell)


def _from_text(cell: str) -> Any:  # noqa: ANN401 - a text, or nothing
    if not cell:
        return _ABSENT
    cell.encode()  # raises for invalid bytes, which are kept as surrogates so that their line can be reported
    return cell


def _from_value(cell: Any) -> Any:  # noqa: ANN401 - whatever Parquet holds
    if cell is None:
        return _ABSENT
    value = _to_json_value(cell)
    return find_value_fault(value) or value


def _to_json_value(value: Any) -> Any:  # noqa: ANN401 - whatever Parquet holds
    """Convert a value to one that JSON has."""
    if isinstance(value, date):  # datetime is a subclass of date
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - not a number: JSON has none
        return None
    if isinstance(value, list):
        return [_to_json_value(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _to_json_value(one) for name, one in value.items()}
    return value if isinstance(value, str | int | float) or value is None else str(value)


_CONVERTERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "ndjson": _from_json,
    "csv": _from_text,
    "parquet": _from_value,
}
