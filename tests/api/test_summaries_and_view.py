"""The API and the view that analysts read say the same of every customer, period, offer, creative and channel."""

from __future__ import annotations

import random
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import pytest

from api.http.times import iso
from tests.faults.events import make_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.api import Caller

COLUMNS: Final = {
    "period_type": "periodType",
    "period_key": "periodKey",
    "customer_id": "customerId",
    "scope": "scope",
    "offer_id": "offerId",
    "creative_id": "creativeId",
    "channel_id": "channelId",
    "impressions": "impressions",
    "positive": "positive",
    "negative": "negative",
    "neutral": "neutral",
    "converts": "converts",
    "last_outcome": "lastOutcomeKey",
    "last_direction": "direction",
}


def api_rows(caller: Caller, customer_id: str) -> Iterator[dict[str, Any]]:
    parameters = {"customerId": customer_id, "limit": 100}
    while True:
        page = caller.read("/interaction-summaries", params=parameters)
        yield from page["data"]
        if page["nextCursor"] is None:
            return
        parameters["cursor"] = page["nextCursor"]


def as_api_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[column] for column, name in COLUMNS.items()},
        "totalValue": float(row["total_value"]),
        "lastContactAt": iso(round(row["last_contact_at"].replace(tzinfo=UTC).timestamp() * 1000)),
    }


@pytest.mark.parametrize("seed", [1])
def test_the_view_says_what_the_api_says(caller: Caller, seed: int):
    rng = random.Random(seed)
    events = make_events(rng, 250, tenant=caller.tenant_id, customers=6)
    for start in range(0, len(events), 50):
        by_customer: dict[str, list[dict[str, Any]]] = {}
        for event in events[start : start + 50]:
            by_customer.setdefault(event["customerId"], []).append(event)
        for some in by_customer.values():
            caller.record(*some, partition=rng.randrange(2))
    customers = sorted({event["customerId"] for event in events})
    through_api = {key(row): row for customer_id in customers for row in api_rows(caller, customer_id)}
    query = "SELECT * FROM interaction_summaries WHERE tenant_id = {tenant:String}"
    view = list(caller.store.client.query(query, {"tenant": caller.tenant_id}).named_results())
    through_view = {key(row): row for row in map(as_api_row, view)}
    assert through_api == through_view
    assert len(through_view) == len(view) > 500


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        row[name] for name in ("customerId", "scope", "periodType", "periodKey", "offerId", "creativeId", "channelId")
    )
