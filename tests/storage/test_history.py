"""Pages of a history are the same, whether this process cuts them or, because the history is long, the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rapport.storage.history import HistoryFilter, HistoryPage, HistoryPageQuery, read_pages
from tests.fixtures.interactions import event, write

if TYPE_CHECKING:
    from rapport.storage.client import Store

START_MS = 1_773_000_000_000
FILTERS = {
    "one id": HistoryFilter(tenant_id="acme", customer_id="ann"),
    "several ids": HistoryFilter(tenant_id="acme", customer_id="ann", members=("ann", "bob")),
    "offer and outcome": HistoryFilter(tenant_id="acme", customer_id="ann", offer_id="loan", outcome="click"),
    "channel and direction": HistoryFilter(tenant_id="acme", customer_id="ann", channel_id="web", direction="inbound"),
    "time": HistoryFilter(tenant_id="acme", customer_id="ann", from_ms=START_MS + 3, to_ms=START_MS + 9),
    "other tenant": HistoryFilter(tenant_id="other", customer_id="ann"),
    "nobody": HistoryFilter(tenant_id="other", customer_id="eve"),
}


def write_histories(store: Store) -> None:
    """Write events of customers of two tenants that have the same names, times and ids."""
    for tenant, number in (("acme", 12), ("other", 7)):
        events = [
            event(
                START_MS + at,
                outcome=("impression", "click", "dismiss")[at % 3],
                customer=customer,
                tenant=tenant,
                offer_id=("loan", "card")[at % 2],
                channel_id=("web", "app")[at % 5 == 0],
                metadata=f'{{"of":"{tenant}"}}',
            )
            for at in range(number)
            for customer in ("ann", "bob")
        ]
        write(store, events)


def read_all(store: Store, filters: HistoryFilter) -> list[HistoryPage]:
    pages = read_pages(store, [HistoryPageQuery(filters=filters, limit=4)])
    while len(pages[-1].rows) == 4:
        pages += read_pages(store, [HistoryPageQuery(filters=filters, cursor=pages[-1].rows[-1]["id"], limit=4)])
    return pages


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_pages_of_long_and_short_histories_are_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, filters: HistoryFilter
):
    write_histories(store)
    short = read_all(store, filters)
    assert {row["tenant_id"] for page in short for row in page.rows} <= {filters.tenant_id}
    assert (short[0].total > 0) == (filters.customer_id == "ann")
    monkeypatch.setattr("rapport.storage.customer_reads.LONG_HISTORY", 0)
    assert read_all(store, filters) == short
