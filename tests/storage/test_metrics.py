from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pytest

from rapport.domain.catalogue.strategy import MetricDefinition
from rapport.domain.metrics import MetricEvent, measure
from rapport.domain.periods import DAY_MS
from rapport.storage.metrics import read_metrics
from tests.fixtures.interactions import OUTCOMES, Event, event, write
from tests.storage.metric_definitions import metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rapport.storage.client import Store

NOW: Final = 1_772_000_000_123
COLUMNS: Final = {
    "outcome": "outcome",
    "classification": "classification",
    "category": "category",
    "offerId": "offer_id",
    "creativeId": "creative_id",
    "channelId": "channel_id",
    "direction": "direction",
}


def value_of(store: Store, definition: MetricDefinition) -> float | None:
    return read_metrics(store, "acme", ["ann"], [definition], NOW)["ann"].get("m")


def expected(events: Sequence[Event], tenant: str, customer: str, definition: MetricDefinition) -> float | None:
    filters = definition.filter_conditions
    since = 0 if definition.window_days is None else NOW - definition.window_days * DAY_MS
    amounts = [
        1.0 if definition.source_field == "*" else one["conversion_value"]
        for one in events
        if (one["tenant_id"], one["customer_id"]) == (tenant, customer)
        and since <= one["at_ms"] <= NOW
        and ("outcome" in filters or "category" in filters or one["category"] != "recommendation")
        and all(one[COLUMNS[name]] in accepted for name, accepted in filters.items())
    ]
    numbers = [amount for amount in amounts if amount is not None]
    if definition.aggregate_function in ("count", "sum"):
        return float(len(numbers) if definition.aggregate_function == "count" else sum(numbers))
    if not numbers:
        return None
    average = sum(numbers) / len(numbers)
    return {"avg": average, "min": min(numbers), "max": max(numbers)}[definition.aggregate_function]


def seen(one: Event) -> MetricEvent:
    """Return an event as decisions use it."""
    value = one["conversion_value"]
    given = {"occurred_ms": one["at_ms"], "conversion_value": None if value is None else Decimal(value)}
    return MetricEvent(**{name: {**one, **given}[name] for name in MetricEvent._fields})


def random_event(rng: random.Random) -> Event:
    edge = NOW - rng.choice([0, 1, 7, 30]) * DAY_MS
    return event(
        rng.choice([edge - 1, edge, edge + 1, NOW - rng.randrange(60 * DAY_MS)]),
        outcome=rng.choice(list(OUTCOMES)),
        customer=rng.choice(["ann", "bob", "it's"]),
        tenant=rng.choice(["acme", "other"]),
        direction=rng.choice(["inbound", "outbound"]),
        offer_id=rng.choice(["", "loan", "card"]),
        creative_id=rng.choice(["", "banner"]),
        channel_id=rng.choice(["", "web", "mail"]),
        conversion_value=rng.choice([None, 0.0, rng.randrange(10**6) / 64]),
        ahead_ms=rng.choice([0, 0, rng.randrange(DAY_MS)]),
    )


def random_metric(rng: random.Random, number: int) -> MetricDefinition:
    offered = {
        "outcome": ["click", "dismiss", "recommendation"],
        "classification": ["positive", "neutral"],
        "category": ["response", "recommendation"],
        "offerId": ["loan", "'"],
        "creativeId": ["banner"],
        "channelId": ["web", ""],
        "direction": ["outbound"],
    }
    fields = rng.sample(sorted(offered), rng.choice([0, 0, 1, 1, 2, 3]))
    return metric(
        f"m{number}",
        rng.choice(["count", "sum", "avg", "min", "max"]),
        rng.choice(["*", "conversion_value"]),
        window_days=rng.choice([None, 1, 7, 30]),
        filter_conditions={name: rng.sample(offered[name], rng.randint(0, len(offered[name]))) for name in fields},
    )


@pytest.mark.parametrize("seed", range(4))
def test_metrics_agree_with_a_plain_python_computation(store: Store, seed: int):
    rng = random.Random(seed)
    events = [random_event(rng) for _ in range(400)]
    definitions = [random_metric(rng, number) for number in range(60)]
    write(store, events)
    write(store, events)  # a crash writes the same rows twice
    found = read_metrics(store, "acme", ["ann", "bob", "it's", "nobody"], definitions, NOW)
    wanted: Mapping[str, Mapping[str, float]] = {
        customer: {
            one.key: value for one in definitions if (value := expected(events, "acme", customer, one)) is not None
        }
        for customer in ("ann", "bob", "it's", "nobody")
    }
    assert found == {customer: pytest.approx(values, rel=1e-12) for customer, values in wanted.items()}
    for customer, values in wanted.items():
        its_events = [one for one in events if (one["tenant_id"], one["customer_id"]) == ("acme", customer)]
        measured = {one.key: measure(one, [seen(each) for each in its_events], NOW) for one in definitions}
        assert {key: value for key, value in measured.items() if value is not None} == pytest.approx(values, rel=1e-12)


@pytest.mark.parametrize(("age_ms", "counted"), [(-1, 0), (0, 1), (7 * DAY_MS, 1), (7 * DAY_MS + 1, 0)])
def test_a_window_reaches_from_exactly_its_days_ago_until_now(store: Store, age_ms: int, counted: int):
    write(store, [event(NOW - age_ms)])
    assert value_of(store, metric(window_days=7)) == counted


def test_a_customer_without_events_has_counts_and_sums_of_zero_and_no_averages(store: Store):
    definitions = [metric(name, name, "conversion_value") for name in ("count", "sum", "avg", "min", "max")]
    assert read_metrics(store, "acme", ["nobody"], definitions, NOW) == {"nobody": {"count": 0.0, "sum": 0.0}}
    write(store, [event(NOW)])  # it carries no value
    assert read_metrics(store, "acme", ["ann"], definitions, NOW) == {"ann": {"count": 0.0, "sum": 0.0}}


def test_recommendations_count_only_where_they_are_asked_for(store: Store):
    write(store, [event(NOW, outcome="recommendation"), event(NOW)])
    assert value_of(store, metric()) == 1
    assert value_of(store, metric(filter_conditions={"outcome": ["recommendation", "click"]})) == 2
    assert value_of(store, metric(filter_conditions={"category": ["recommendation"]})) == 1


def test_a_filter_that_accepts_nothing_or_names_no_field_matches_nothing(store: Store):
    write(store, [event(NOW)])
    assert value_of(store, metric(filter_conditions={"outcome": []})) == 0
    assert value_of(store, metric(filter_conditions={"nothing": ["click"], "outcome": ["click"]})) == 0


def test_text_that_looks_like_sql_is_a_value(store: Store):
    write(store, [event(NOW, offer_id="') OR 1=1 --"), event(NOW)])
    assert value_of(store, metric(filter_conditions={"offerId": ["') OR 1=1 --"]})) == 1


@pytest.mark.parametrize("text", ["\\", "it's \\' \n\t", "日本", "%27%", "{tenant_id:String}"])
def test_any_text_is_compared_as_it_is(store: Store, text: str):
    write(store, [event(NOW, offer_id=text, tenant=text, customer=text), event(NOW, tenant=text, customer=text)])
    definition = metric(filter_conditions={"offerId": [text]})
    assert read_metrics(store, text, [text], [definition], NOW) == {text: {"m": 1.0}}


def test_definitions_of_any_total_length_are_computed(store: Store):
    write(store, [event(NOW, offer_id="loan")])
    others = [f"offer-{number:030}" for number in range(500)]
    definitions = [metric(f"m{number}", filter_conditions={"offerId": ["loan", *others]}) for number in range(9)]
    assert read_metrics(store, "acme", ["ann"], definitions, NOW) == {"ann": {one.key: 1.0 for one in definitions}}


def test_the_ids_of_a_customer_count_together(store: Store):
    amounts = {"ann": 1.5, "bob": 2.5, "eve": 7.0}
    write(store, [event(NOW, customer=name, conversion_value=value) for name, value in amounts.items()])
    definitions = [metric(name, name, "conversion_value") for name in ("count", "sum", "avg", "min", "max")]
    found = read_metrics(store, "acme", {"person": ["ann", "bob"], "ann": ["ann"]}, definitions, NOW)
    assert found == {
        "person": {"count": 2, "sum": 4, "avg": 2, "min": 1.5, "max": 2.5},
        "ann": {"count": 1, "sum": 1.5, "avg": 1.5, "min": 1.5, "max": 1.5},
    }


def test_without_customers_or_definitions_no_query_runs(store: Store):
    assert read_metrics(store, "acme", [], [metric()], NOW) == {}
    assert read_metrics(store, "acme", ["ann"], [], NOW) == {"ann": {}}
