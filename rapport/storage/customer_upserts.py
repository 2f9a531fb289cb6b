"""Stores what files and bulk requests say of customers."""

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
    """Some rows are wrong where all or none were to be stored.

    Attributes:
        faults: By the rows' numbers.
    """

    def __init__(self, faults: Mapping[int, Sequence[Fault]]) -> None:
        super().__init__(f"{len(faults)} rows are wrong")
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertOptions:
    """How rows become customers.

    Attributes:
        replaces: Whether a row says everything there is of a customer, or only what changes.
        is_text: Whether the rows come from a file that knows texts only.
        is_atomic: Whether nothing is stored if any row is wrong.
        unless_has: Customers who have one of these attributes already stay as they are.
    """

    replaces: bool = False
    is_text: bool = False
    is_atomic: bool = False
    unless_has: Collection[str] = ()


@dataclass(slots=True)
class UpsertResult:
    """What became of rows.

    Attributes:
        created: Customers that were not there.
        changed: Customers that were, and are otherwise now.
        unchanged: Customers of whom the rows say nothing new, or who were to stay as they are.
        faults: Of the rows that are wrong, by number.
    """

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    faults: dict[int, Sequence[Fault]] = field(default_factory=dict)


def upsert_rows(
    store: Store, tenant_id: str, author: Author, form: AttributeSchema, rows: Sequence[CustomerRow], way: UpsertOptions
) -> UpsertResult:
    """Store rows; those of one customer are applied in their order and make one version.

    Rows that are wrong are left out, and with them nothing else.

    Raises:
        FaultyRowsError: Where it is all or nothing, one is wrong; nothing is stored. Only if customers are changed by
            others at this very moment, and so that a row that was right is not any more, some may be.
        TransientStorageError: As :func:`rapport.storage.customers.change_customers`.
    """
    of_customer: dict[str, list[CustomerRow]] = {}
    for row in rows:
        of_customer.setdefault(row.customer_id, []).append(row)
    faults: dict[str, Mapping[int, Sequence[Fault]]] = {}
    known: set[str] = set()
    right: set[str] = set()

    def decide(before: CurrentCustomers) -> Mapping[str, Attributes | None]:
        wanted: dict[str, Attributes | None] = {}
        for name, had in before.items():
            attributes = None if had is None or had.is_deleted else had.attributes
            if attributes is not None:
                known.add(name)
                if not attributes.keys().isdisjoint(way.unless_has):
                    right.add(name)
                    continue
            done = apply_rows(form, attributes, of_customer[name], replaces=way.replaces, is_text=way.is_text)
            faults[name] = done.faults
            if done.attributes is not None:
                right.add(name)
                wanted[name] = done.attributes
        if way.is_atomic and (all_faults := _merge_faults(faults)):
            raise FaultyRowsError(all_faults)
        return wanted

    made = change_customers(store, tenant_id, author, of_customer.keys(), decide).keys()
    return UpsertResult(
        created=len(made - known),
        changed=len(made & known),
        unchanged=len(right - made),
        faults=_merge_faults(faults),
    )


def _merge_faults(faults: Mapping[str, Mapping[int, Sequence[Fault]]]) -> dict[int, Sequence[Fault]]:
    return dict(sorted((number, found) for of_one in faults.values() for number, found in of_one.items()))
