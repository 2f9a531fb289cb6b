"""Events that trigger suppressions, and suppressions lifted by operators."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import polars as pl

from rapport.domain.profiles.suppressions import Suppression, Trigger
from rapport.storage.state_gaps import announce_change

if TYPE_CHECKING:
    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store

MAX_TRIGGERS: Final = 1_000
"""Latest events of each outcome and offer of a customer; suppressions by older ones have ended or were prolonged."""


def read_triggers(
    store: Store, tenant_id: str, customer_ids: Collection[str], outcomes: Collection[str]
) -> Mapping[str, Sequence[Trigger]]:
    """Read the latest events with some outcomes, of several customers with one query.

    Args:
        store: The database.
        tenant_id: The tenant.
        customer_ids: The customers.
        outcomes: Keys of outcome types.

    Returns:
        Events by customer, for all customers.
    """
    found: dict[str, list[Trigger]] = {customer_id: [] for customer_id in customer_ids}
    if not (found and outcomes):
        return found
    parameters = {
        "tenant_id": tenant_id,
        "customer_ids": list(found),
        "outcomes": sorted(set(outcomes)),
        "limit": MAX_TRIGGERS,
    }
    for row in store.select("suppressions/triggers", parameters).iter_rows(named=True):
        found[row["customer_id"]].append(Trigger(row["id"], row["outcome"], row["offer_id"], row["at_ms"]))
    return found


def record_lift(
    store: Store,
    tenant_id: str,
    customer_id: str,
    suppression: Suppression,
    *,
    at_ms: int,
    reason: str,
    author: Author,
) -> None:
    """Record that a suppression of a customer is lifted from a time on."""
    row = {
        "tenant_id": tenant_id,
        "customer_id": customer_id,
        "rule_id": suppression.rule_id,
        "scope_id": suppression.scope_id,
        "lifted_at": at_ms,
        "reason": reason,
        "changed_by": author.name,
        "request_id": author.request_id,
    }
    frame = pl.DataFrame([row]).with_columns(pl.col("lifted_at").cast(pl.Datetime("ms", "UTC")))
    store.insert("suppression_lifts", frame)
    announce_change(store, tenant_id, "suppressions", [customer_id])
