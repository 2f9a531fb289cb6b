from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from rapport.domain.periods import DAY_MS
from rapport.storage import suppressions
from rapport.storage.suppressions import read_triggers

if TYPE_CHECKING:
    import pytest

    from rapport.storage.client import Store

START_MS = 1_773_000_000_000


def happened(store: Store, *events: tuple[str, str, int], tenant: str = "acme", offer: str = "loan") -> None:
    """Write events: customer, outcome, day."""
    frame = pl.DataFrame(
        [
            {
                "tenant_id": tenant,
                "customer_id": customer,
                "id": f"{day:012x}{number:08x}",
                "occurred_at": START_MS + day * DAY_MS,
                "received_at": START_MS + day * DAY_MS,
                "outcome": outcome,
                "offer_id": offer,
                "offset": number,
            }
            for number, (customer, outcome, day) in enumerate(events)
        ],
        schema_overrides={
            "occurred_at": pl.Datetime("ms", "UTC"),
            "received_at": pl.Datetime("ms", "UTC"),
            "offset": pl.UInt64,
        },
    )
    store.insert("interaction_log", frame)


def test_triggers_of_many_customers_are_read_with_one_query_newest_first(store: Store):
    happened(store, ("ann", "dismiss", 1), ("ann", "click", 2), ("ann", "opt_out", 3), ("bob", "dismiss", 4))
    happened(store, ("ann", "dismiss", 9), tenant="other")
    found = read_triggers(store, "acme", ["ann", "bob", "cid"], ["dismiss", "opt_out"])
    assert {name: [(one.outcome, one.offer_id) for one in of_one] for name, of_one in found.items()} == {
        "ann": [("opt_out", "loan"), ("dismiss", "loan")],
        "bob": [("dismiss", "loan")],
        "cid": [],
    }
    assert found["bob"][0].at_ms == START_MS + 4 * DAY_MS


def test_the_latest_triggers_of_each_outcome_and_offer_are_read(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(suppressions, "MAX_TRIGGERS", 2)
    happened(store, *(("ann", "dismiss", day) for day in range(5)), ("bob", "dismiss", 0))
    found = read_triggers(store, "acme", ["ann", "bob"], ["dismiss"])
    assert [one.at_ms for one in found["ann"]] == [START_MS + 4 * DAY_MS, START_MS + 3 * DAY_MS]
    assert len(found["bob"]) == 1
    happened(store, ("ann", "convert", 0))
    happened(store, ("ann", "dismiss", 1), offer="card")
    found = read_triggers(store, "acme", ["ann"], ["dismiss", "convert"])
    assert [(one.outcome, one.offer_id) for one in found["ann"]] == [
        *[("dismiss", "loan")] * 2,
        ("dismiss", "card"),
        ("convert", "loan"),
    ]
    assert read_triggers(store, "acme", ["ann"], []) == {"ann": []}
