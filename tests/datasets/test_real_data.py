"""Data sets as downloaded from a package registry; fails with a reason if none is reachable."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from rapport.application.imports.feeds import Feed, Message
from rapport.datasets import cdnow, open_bandit
from rapport.datasets.catalogue import open_cdnow, open_open_bandit

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a cache that is empty before the first test."""
    return tmp_path_factory.mktemp("wheels")


def read_events(feed: Feed) -> list[dict[str, Any]]:
    entries = [entry for chunk in feed.chunks for entry in chunk.entries]
    assert len(entries) == feed.size
    return [json.loads(entry.value) for entry in entries if isinstance(entry, Message)]


def test_cdnow_is_complete(cache: Path):
    events = read_events(open_cdnow("demo", cache))
    assert len(events) == cdnow.TOTALS.events == 69_659
    assert len({event["customerId"] for event in events}) == cdnow.TOTALS.customers == 23_570
    dollars = sum((Decimal(str(event["conversionValue"])) for event in events), Decimal(0))
    assert dollars == cdnow.TOTALS.total_value == Decimal("2500315.63")
    assert len({event["idempotencyKey"] for event in events}) == 69_659
    purchases = Counter(
        (event["customerId"], event["timestamp"], event["conversionValue"], str(event["outcomeDetails"]))
        for event in events
    )
    assert sum(times > 1 for times in purchases.values()) == 215


def test_open_bandit_is_complete(cache: Path):
    events = read_events(open_open_bandit("demo", cache))
    outcomes = Counter(event["outcome"] for event in events)
    assert outcomes == {"impression": open_bandit.IMPRESSIONS, "click": open_bandit.CLICKS}
    assert len({event["idempotencyKey"] for event in events}) == len(events)
    assert {event["placementId"] for event in events} == {"position-1", "position-2", "position-3"}
    assert len({event["offerId"] for event in events}) == 80 + 34
    assert min(event["timestamp"] for event in events) >= "2019-11-24"
    assert max(event["timestamp"] for event in events) < "2019-12-01"
