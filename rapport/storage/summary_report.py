"""Totals per offer, creative, channel or customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rapport.storage.identity import read_aliases

if TYPE_CHECKING:
    from datetime import date

    from rapport.storage.client import Store


def read_report(
    store: Store, tenant_id: str, group_by: str, first_day: date, limit: int, offset: int
) -> tuple[list[dict[str, Any]], int]:
    """Totals since a day (the tenant's calendar), the largest first.

    Args:
        store: The database.
        tenant_id: Whose.
        group_by: offer, creative, channel or customer, whose merged ids are one.
        first_day: From this day on.
        limit: At most so many groups.
        offset: After so many.

    Returns:
        The groups, and how many there are in all.
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
    # After the last group no row is left to say how many there are.
    counted = rows or (store.rows("summaries/report", {**parameters, "limit": 1, "offset": 0}) if offset else [])
    return rows, counted[0]["matching"] if counted else 0
