"""Rows of customer attributes, from files and bulk requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rapport.domain.faults import Fault
from rapport.domain.profiles.attributes import ID_NAMES, Attributes, AttributeSchema, complete, find_id_fault

NESTED: Final = "attributes"
"""Member of a row that may hold the attributes; without it, every member beside the id is an attribute."""


class CustomerRow(NamedTuple):
    """Attributes of one customer in a file or request.

    Attributes:
        number: Position of the row.
    """

    number: int
    customer_id: str
    attributes: Attributes


class RowsResult(NamedTuple):
    """Result of applying the rows of one customer.

    Attributes:
        attributes: Attributes after the valid rows; None if no row is valid.
        faults: Faults of the other rows, by row number.
    """

    attributes: Attributes | None
    faults: Mapping[int, Sequence[Fault]]


def apply_rows(
    schema: AttributeSchema,
    before: Attributes | None,
    rows: Iterable[CustomerRow],
    *,
    replaces: bool = False,
    is_text: bool = False,
) -> RowsResult:
    """Apply the rows of one customer in order; a row with a fault changes nothing.

    Args:
        schema: The tenant's attribute schema.
        before: Present attributes of the customer; None if there is no such customer.
        rows: Rows of this customer only.
        replaces: Whether a row holds all attributes of the customer, or only those that change.
        is_text: See :func:`complete`.
    """
    attributes, is_changed = before, False
    faults: dict[int, Sequence[Fault]] = {}
    for row in rows:
        completed = complete(schema, row.attributes, None if replaces else attributes, is_text=is_text)
        if isinstance(completed, list):
            faults[row.number] = completed
        else:
            attributes, is_changed = completed, True
    return RowsResult(attributes if is_changed else None, faults)


def read_row(number: int, fields: Mapping[str, Any]) -> CustomerRow | Fault:
    """Read a JSON object: the customer id, and the attributes beside it or in ``attributes``."""
    names = [name for name in ID_NAMES if name in fields]
    customer_id = fields[names[0]] if names else None
    if fault := find_id_fault(customer_id):
        return Fault(names[0] if names else ID_NAMES[0], fault)
    others = {name: value for name, value in fields.items() if name not in ID_NAMES}
    nested = others.get(NESTED)
    if isinstance(nested, dict):
        if len(others) > 1:
            beside = ", ".join(sorted(others.keys() - {NESTED})[:5])
            return Fault(NESTED, f"holds all attributes; {beside} must be in it, too")
        others = nested
    return CustomerRow(number, str(customer_id), others)
