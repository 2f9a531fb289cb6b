"""Upserts of customers from the rows of files and bulk requests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rapport.domain.profiles.rows import CustomerRow, apply_rows
from rapport.storage.customers import change_customers

if TYPE_CHECKING:
    from rapport.domain.faults import Fault
    from rapport.domain.profiles.attributes import Attributes, AttributeSchema
    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store
    from rapport.storage.customers import CurrentCustomers


class FaultyRowsError(Exception):
    """Some rows are faulty where all or none were to be stored.

    Attributes:
        faults: By row number.
    """

    def __init__(self, faults: Mapping[int, Sequence[Fault]]) -> None:
        super().__init__(f"{len(faults)} rows are wrong")
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertOptions:
    """Rules by which rows become customers.

    Attributes:
        replaces: Whether a row replaces all attributes of a customer, or only those it has.
        is_text: Whether the rows come from a file in which every value is text.
        is_atomic: Whether nothing is stored if any row is faulty.
        unless_has: Customers who already have one of these attributes stay as they are.
    """

    replaces: bool = False
    is_text: bool = False
    is_atomic: bool = False
    unless_has: Collection[str] = ()


@dataclass(slots=True)
class UpsertResult:
    """Numbers of customers by result, and the faults of rows.

    Attributes:
        created: New customers.
        changed: Existing customers whose attributes changed.
        unchanged: Existing customers whose rows hold nothing new, or who were to stay as they are.
        faults: Of faulty rows, by number.
    """

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    faults: dict[int, Sequence[Fault]] = field(default_factory=dict)


def upsert_rows(
    store: Store,
    tenant_id: str,
    author: Author,
    form: AttributeSchema,
    rows: Sequence[CustomerRow],
    options: UpsertOptions,
) -> UpsertResult:
    """Store rows; those of one customer are applied in their order and make one version.

    Faulty rows are left out; the others are stored.

    Raises:
        FaultyRowsError: With ``is_atomic``, a row is faulty and nothing is stored. Only if other writers change the
            customers meanwhile, so that a valid row becomes faulty, may some rows have been stored.
        TransientStorageError: As :func:`rapport.storage.customers.change_customers`.
    """
    rows_by_customer: dict[str, list[CustomerRow]] = {}
    for row in rows:
        rows_by_customer.setdefault(row.customer_id, []).append(row)
    faults: dict[str, Mapping[int, Sequence[Fault]]] = {}
    known: set[str] = set()
    valid: set[str] = set()

    def decide(before: CurrentCustomers) -> Mapping[str, Attributes | None]:
        wanted: dict[str, Attributes | None] = {}
        for name, had in before.items():
            attributes = None if had is None or had.is_deleted else had.attributes
            if attributes is not None:
                known.add(name)
                if not attributes.keys().isdisjoint(options.unless_has):
                    valid.add(name)
                    continue
            result = apply_rows(
                form, attributes, rows_by_customer[name], replaces=options.replaces, is_text=options.is_text
            )
            faults[name] = result.faults
            if result.attributes is not None:
                valid.add(name)
                wanted[name] = result.attributes
        if options.is_atomic and (all_faults := _merge_faults(faults)):
            raise FaultyRowsError(all_faults)
        return wanted

    written = change_customers(store, tenant_id, author, rows_by_customer.keys(), decide).keys()
    return UpsertResult(
        created=len(written - known),
        changed=len(written & known),
        unchanged=len(valid - written),
        faults=_merge_faults(faults),
    )


def _merge_faults(faults: Mapping[str, Mapping[int, Sequence[Fault]]]) -> dict[int, Sequence[Fault]]:
    return dict(sorted((number, found) for of_one in faults.values() for number, found in of_one.items()))
