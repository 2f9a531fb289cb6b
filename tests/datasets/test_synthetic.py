"""Synthetic streams: one seed is one stream, every event meets the contract, the shares are as specified."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.datasets.synthetic import (
    CHANNEL_SHARES,
    FRAME_EVENTS,
    MAX_LATE,
    OUTCOME_SHARES,
    SyntheticSpec,
    compute_totals,
    generate_frames,
    generate_messages,
)
from rapport.domain.events import InteractionRecorded, decode_event, make_message_key, resolve_time
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES, Classification

NOW_MS = 1_790_000_000_000

specs = st.builds(
    SyntheticSpec,
    events=st.integers(0, 300),
    customers=st.integers(1, 200),
    skew=st.floats(0, 3),
    seed=st.integers(-(2**40), 2**40),
    days=st.integers(1, 60),
    tenant_id=st.text(min_size=1, max_size=8),
)


@given(specs)
@settings(deadline=None)
def test_every_event_meets_the_contract(spec: SyntheticSpec):
    sent = list(generate_messages(spec))
    assert len(sent) == spec.events
    keys = set()
    for key, value in sent:
        event = decode_event(value)
        assert isinstance(event, InteractionRecorded), event
        assert event.tenant_id == spec.tenant_id
        assert key == make_message_key(event.tenant_id, event.customer_id)
        assert isinstance(resolve_time(event.timestamp, NOW_MS), int)
        assert (event.conversion_value is not None) is (event.outcome == "convert")
        keys.add(event.idempotency_key)
    assert len(keys) == spec.events


@given(specs)
@settings(deadline=None)
def test_the_same_specification_is_the_same_stream(spec: SyntheticSpec):
    assert list(generate_messages(spec)) == list(generate_messages(spec))


def test_a_seed_gives_the_same_stream_on_every_machine():
    sent = list(generate_messages(SyntheticSpec(events=3, customers=10, seed=42)))
    assert [json.loads(value)["customerId"] for _, value in sent] == [
        "customer-0000001",
        "customer-0000009",
        "customer-0000002",
    ]
    assert [json.loads(value)["timestamp"] for _, value in sent] == [1748735991302, 1749599990562, 1750463940790]


@pytest.mark.parametrize("change", [{"seed": 2}, {"skew": 0.5}, {"customers": 21}, {"days": 31}, {"tenant_id": "x"}])
def test_other_events_have_other_keys(change: dict[str, Any]):
    base = SyntheticSpec(events=50, customers=20)
    first, other = (
        {json.loads(value)["idempotencyKey"] for _, value in generate_messages(spec)}
        for spec in (base, replace(base, **change))
    )
    assert first.isdisjoint(other)


def test_the_totals_are_those_of_the_events():
    spec = SyntheticSpec(events=20_000, customers=500, seed=7)
    events = [json.loads(value) for _, value in generate_messages(spec)]
    positive = {t.key for t in DEFAULT_OUTCOME_TYPES if t.classification is Classification.POSITIVE}
    totals = compute_totals(spec)
    assert totals.events == len(events)
    assert totals.customers == len({event["customerId"] for event in events})
    assert totals.total_value == sum(
        (Decimal(str(event["conversionValue"])) for event in events if event["outcome"] in positive & {"convert"}),
        Decimal(0),
    )


@pytest.mark.parametrize("skew", [0.0, 0.8, 1.3])
def test_customers_follow_zipfs_law(skew: float):
    customers, events = 1_000, 200_000
    frame = pl.concat(generate_frames(SyntheticSpec(events=events, customers=customers, skew=skew, seed=3)))
    counts = frame.group_by("customer_id").len().sort("customer_id")
    weights = [rank**-skew for rank in range(1, customers + 1)]
    expected = events * weights[0] / sum(weights)
    assert counts["len"][0] == pytest.approx(expected, rel=0.05, abs=5 * expected**0.5)
    assert counts.height >= 0.99 * customers


def test_outcomes_and_channels_have_the_requested_shares():
    frame = pl.concat(generate_frames(SyntheticSpec(events=200_000, seed=5)))
    for column, shares in (("outcome", OUTCOME_SHARES), ("channel_id", CHANNEL_SHARES)):
        found = dict(frame[column].value_counts(normalize=True).iter_rows())
        assert found == pytest.approx(shares, rel=0.1)


def test_times_lie_in_the_given_days_and_some_events_are_late():
    spec = SyntheticSpec(events=50_000, days=10, seed=9)
    times = pl.concat(generate_frames(spec))["occurred_at_ms"]
    start = 1_748_736_000_000  # 2025-06-01 UTC
    late_ms = MAX_LATE.total_seconds() * 1_000
    assert start - late_ms <= int(str(times.min()))
    assert int(str(times.max())) < start + 10 * 86_400_000
    behind = (times.cum_max() - times).to_list()
    assert 0 < sum(delay > 3_600_000 for delay in behind) < 0.05 * len(behind)
    assert max(behind) <= late_ms + 120_000


def test_frames_are_bounded_and_follow_each_other():
    sizes = [
        (int(f["number"][0]), int(f["number"][-1])) for f in generate_frames(SyntheticSpec(events=2 * FRAME_EVENTS + 1))
    ]
    assert sizes[0][0] == 0
    assert sizes[-1][1] == 2 * FRAME_EVENTS
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(sizes))


@pytest.mark.parametrize("change", [{"events": -1}, {"customers": 0}, {"skew": -0.1}, {"skew": 11}, {"days": 0}])
def test_impossible_numbers_are_refused(change: dict[str, int]):
    with pytest.raises(ValueError, match="skew between 0 and 10"):
        SyntheticSpec(**change)  # type: ignore[arg-type]


def test_the_generator_is_fast():
    started_at = time.process_time()
    count = sum(1 for _ in generate_messages(SyntheticSpec(events=200_000, customers=100_000, skew=1.3)))
    assert count / (time.process_time() - started_at) > 50_000  # measured: 340,000; this one catches a loop in Python
