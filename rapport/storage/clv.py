"""Customer lifetime values, computed in the database for all customers of a tenant at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from rapport.domain.profiles.clv import DEFAULT_RULES, SEGMENTS, ClvRules, CustomerValue
from rapport.storage.identity import read_aliases

if TYPE_CHECKING:
    from rapport.storage.client import Store


def compute_values(store: Store, tenant_id: str, now_ms: int, rules: ClvRules = DEFAULT_RULES) -> Mapping[str, int]:
    """Compute the values of a tenant's customers and store them.

    Reads all summaries over all time. Merged customers have one value, by the canonical id.

    Args:
        store: The database.
        tenant_id: The tenant.
        now_ms: Time of the computation, epoch milliseconds.
        rules: Weights and limits of the score.

    Returns:
        Number of customers in each segment.
    """
    parameters = {
        "tenant_id": tenant_id,
        **read_aliases(store, tenant_id),
        "now_ms": now_ms,
        "recency_weight": rules.recency_weight,
        "frequency_weight": rules.frequency_weight,
        "monetary_weight": rules.monetary_weight,
        "at_risk_days": rules.at_risk_days,
    }
    store.command("clv/compute", parameters)
    found = store.rows("clv/segments", {"tenant_id": tenant_id, "computed_at_ms": now_ms})
    return dict.fromkeys(SEGMENTS, 0) | {row["segment"]: row["customers"] for row in found}


def find_contacted(store: Store, tenant_id: str, customer_ids: Collection[str]) -> frozenset[str]:
    """Return those of some customers who were ever contacted; only they have a value."""
    found = store.rows("clv/contacted", {"tenant_id": tenant_id, "customer_ids": list(customer_ids)})
    return frozenset(row["customer_id"] for row in found)


def read_values(store: Store, tenant_id: str, customer_ids: Collection[str]) -> Mapping[str, CustomerValue]:
    """Read the values as last computed; customers without one are left out."""
    found = store.rows("clv/of_customers", {"tenant_id": tenant_id, "customer_ids": list(customer_ids)})
    return {row.pop("customer_id"): CustomerValue(**row) for row in found}
