"""Rows that say something of customers, as files and bulk requests bring them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rapport.domain.faults import Fault
from rapport.domain.profiles.attributes import ID_NAMES, Attributes, AttributeSchema, complete, find_id_fault

NESTED: Final = "attributes"
"""Where a row may hold the attributes apart; else they are whatever it holds beside the id."""


class CustomerRow(NamedTuple):
    """What a file or a request says of one customer.

    Attributes:
        number: Its place.
    """

    number: int
    customer_id: str
    attributes: Attributes


class RowsResult(NamedTuple):
    """What became of the rows of one customer.

    Attributes:
        attributes: With those rows that are right; None if none is.
        faults: Of the others, by number.
    """

    attributes: Attributes | None
    faults: Mapping[int, Sequence[Fault]]


def apply_rows(
    form: AttributeSchema,
    before: Attributes | None,
    rows: Iterable[CustomerRow],
    *,
    replaces: bool = False,
    is_text: bool = False,
) -> RowsResult:
    """Apply the rows of one customer in their order; a row that is wrong changes nothing.

    Args:
        form: What is wanted.
        before: What the customer has; None if there is no such customer.
        rows: All of the same customer.
        replaces: Whether a row says everything there is of the customer, or only what changes.
        is_text: See :func:`complete`.
    """
    attributes, is_changed = before, False
    faults: dict[int, Sequence[Fault]] = {}
    for row in rows:
        completed = complete(form, row.attributes, None if replaces else attributes, is_text=is_text)
        if isinstance(completed, list):
            faults[row.number] = completed
        else:
            attributes, is_changed = completed, True
    return RowsResult(attributes if is_changed else None, faults)


def read_row(number: int, fields: Mapping[str, Any]) -> CustomerRow | Fault:
    """Read the members of a JSON object: the id, and the attributes beside it or in ``attributes``."""
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
