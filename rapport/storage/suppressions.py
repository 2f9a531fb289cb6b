"""The events that suppressions follow from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rapport.domain.profiles.suppressions import Trigger

if TYPE_CHECKING:
    from rapport.storage.client import Store

MAX_TRIGGERS: Final = 1_000
"""Of one customer: the latest; what older ones suppressed is long over or was prolonged since."""


def read_triggers(
    store: Store, tenant_id: str, customer_ids: Collection[str], outcomes: Collection[str]
) -> Mapping[str, Sequence[Trigger]]:
    """Read the latest events with some outcomes, of several customers with one query.

    Args:
        store: The database.
        tenant_id: Whose customers.
        customer_ids: Which.
        outcomes: Keys of outcome types.

    Returns:
        By customer; every one is there.
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
