"""What unified profiles need beyond what the other tables' modules read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from rapport.storage.contact_profiles import find_profiles_of_customers

if TYPE_CHECKING:
    from rapport.storage.client import Store


class ContactTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer has done over all time."""

    impressions: int
    positive: int
    negative: int
    neutral: int
    converts: int
    total_value: float
    last_contact_at_ms: int


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """The arm of an experiment that a customer is in.

    Attributes:
        assigned_at_ms: When the first recommendation in the experiment was made,
        last_decided_at_ms: and the latest one.
    """

    experiment_id: str
    variant: str
    assigned_at_ms: int
    last_decided_at_ms: int


def is_known(store: Store, tenant_id: str, customer_ids: Collection[str]) -> bool:
    """Whether anything is known of a customer."""
    if store.rows("profiles/known", {"tenant_id": tenant_id, "customer_ids": list(customer_ids)}):
        return True
    return bool(find_profiles_of_customers(store, tenant_id, customer_ids))


def read_contact_totals(store: Store, tenant_id: str, customer_ids: Collection[str]) -> ContactTotals | None:
    """A customer's contacts; None if there was none."""
    found = store.rows("profiles/totals", {"tenant_id": tenant_id, "customer_ids": list(customer_ids)})
    return ContactTotals(**found[0]) if found else None


def read_assignments(store: Store, tenant_id: str, customer_ids: Collection[str]) -> Sequence[Assignment]:
    """The experiments that a customer takes part in, by id."""
    found = store.rows("experiments/of_customer", {"tenant_id": tenant_id, "customer_ids": list(customer_ids)})
    return [Assignment(**row) for row in found]
