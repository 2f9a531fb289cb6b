"""Report of outcome totals per offer, creative, channel or customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rapport.storage.identity import read_aliases

if TYPE_CHECKING:
    from datetime import date

    from rapport.storage.client import Store


def read_report(
    store: Store, tenant_id: str, group_by: str, first_day: date, limit: int, offset: int
) -> tuple[list[dict[str, Any]], int]:
    """Read totals since a day of the tenant's calendar, the largest first.

    Args:
        store: The database.
        tenant_id: The tenant.
        group_by: offer, creative, channel or customer; merged customers are one.
        first_day: First day that counts.
        limit: Maximum number of groups.
        offset: Number of groups to skip.

    Returns:
        The groups, and the number of all groups.
    """
    parameters = {
        "tenant_id": tenant_id,
        **read_aliases(store, tenant_id),
        "group_by": group_by,
        "first_day": first_day,
        "limit": limit,
        "offset": offset,
    }
    rows = store.rows("summaries/report", parameters)
    # Rows carry the number of groups; a page behind the last group has no row.
    counted = rows or (store.rows("summaries/report", {**parameters, "limit": 1, "offset": 0}) if offset else [])
    return rows, counted[0]["matching"] if counted else 0
