"""Queries for unified profiles that no other storage module has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from rapport.storage.contact_profiles import find_profiles_of_customers

if TYPE_CHECKING:
    from rapport.storage.client import Store


class ContactTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Contacts of a customer over all time."""

    impressions: int
    positive: int
    negative: int
    neutral: int
    converts: int
    total_value: float
    last_contact_at_ms: int


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """Variant of an experiment that a customer is assigned to.

    Attributes:
        assigned_at_ms: Time of the first recommendation in the experiment.
        last_decided_at_ms: Time of the latest one.
    """

    experiment_id: str
    variant: str
    assigned_at_ms: int
    last_decided_at_ms: int


def is_known(store: Store, tenant_id: str, customer_ids: Collection[str]) -> bool:
    """Return whether any table holds data of a customer."""
    if store.rows("profiles/known", {"tenant_id": tenant_id, "customer_ids": list(customer_ids)}):
        return True
    return bool(find_profiles_of_customers(store, tenant_id, customer_ids))


def read_contact_totals(store: Store, tenant_id: str, customer_ids: Collection[str]) -> ContactTotals | None:
    """Read the totals of a customer's contacts; None without contacts."""
    found = store.rows("profiles/totals", {"tenant_id": tenant_id, "customer_ids": list(customer_ids)})
    return ContactTotals(**found[0]) if found else None


def read_assignments(store: Store, tenant_id: str, customer_ids: Collection[str]) -> Sequence[Assignment]:
    """Read the experiments that a customer takes part in, ordered by id."""
    found = store.rows("experiments/of_customer", {"tenant_id": tenant_id, "customer_ids": list(customer_ids)})
    return [Assignment(**row) for row in found]
