"""The summary rows that decisions are made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rapport.domain.decisions.facts import Counts
from rapport.storage.versions import newest_versions

if TYPE_CHECKING:
    from rapport.storage.client import Store


class SummaryRow(NamedTuple):
    """What one source counts in one period: its key, its version, its counts. A tuple, because there are many."""

    tenant_id: str
    customer_id: str
    period_key: str
    offer_id: str
    creative_id: str
    channel_id: str
    source: str
    applied_offset: int
    stored_at_ms: int
    impressions: int
    positive: int
    negative: int
    neutral: int
    converts: int
    last_contact_ms: int

    @property
    def counts(self) -> Counts:
        """What it counts."""
        return Counts(*self[9:14])


def read_newest(store: Store, parameters: Mapping[str, Any]) -> Iterable[SummaryRow]:
    """Each summary row in its newest version.

    Args:
        store: The database.
        parameters: Of the query ``decisions/summaries``.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    found = store.select("decisions/summaries", parameters)
    return newest_versions(map(SummaryRow._make, found.rows()), key_columns=7)
