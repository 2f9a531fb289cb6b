"""Members of answers about segments beyond their definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.http.times import iso
from rapport.storage.segments import load_refreshes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rapport.storage.client import Store
    from rapport.storage.segments import SegmentRefresh


def load_segment_extras(store: Store, tenant_id: str, segment_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Load size and time of the latest refresh of some segments; null before the first one."""
    refreshes = load_refreshes(store, tenant_id)
    return {segment_id: write_extras(refreshes.get(segment_id)) for segment_id in segment_ids}


def write_extras(refresh: SegmentRefresh | None) -> Mapping[str, Any]:
    """Write size and time of a refresh."""
    if refresh is None:
        return {"customerCount": None, "lastRefreshedAt": None}
    return {"customerCount": refresh.customer_count, "lastRefreshedAt": iso(refresh.refreshed_at_ms)}
