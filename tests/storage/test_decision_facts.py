from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from rapport.domain.catalogue.strategy import MetricDefinition
from rapport.domain.decisions.contact_facts import Exposure, FactsQuery, FactsResult
from rapport.domain.decisions.facts import Counts, Subject
from rapport.domain.decisions.tenant_totals import OfferTotals
from rapport.domain.decisions.windows import ALL_TIME, Window, WindowZone
from rapport.domain.metrics import MetricEvent, measure
from rapport.domain.periods import to_local_date
from rapport.domain.summaries import Contact
from rapport.storage.decision_facts import read_facts
from rapport.storage.offer_totals import read_offer_totals
from tests.fixtures.interactions import event, write
from tests.storage.contact_log import HOUR_MS, NOW, WINDOWS, ZONES, Log
from tests.storage.summary_rows import contact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rapport.storage.client import Store


@pytest.fixture(params=["read", "counted by the engine"], autouse=True)
def long_history(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read short histories, or have the engine aggregate long ones: both give the same facts."""
    if request.param != "read":
        monkeypatch.setattr("rapport.storage.customer_reads.LONG_HISTORY", 0)


def request(**changes: object) -> FactsQuery:
    plain = FactsQuery(tenant_id="acme", customer_id="ann", time_zone=ZONES["acme"], now_ms=NOW, windows=WINDOWS)
    return replace(plain, **changes)  # type: ignore[arg-type]


def subject_of(contact: Contact) -> Subject:
    return Subject(contact.offer_id, contact.creative_id, contact.channel_id)


def expected_counts(contacts: Sequence[Contact], asked: FactsQuery, window: Window) -> dict[Subject, Counts]:
    zone = asked.time_zone if window.zone is WindowZone.TENANT else asked.customer_zone or asked.time_zone
    found: dict[Subject, Counts] = {}
    for one in contacts:
        if one.occurred_at_ms >= window.start_ms(asked.now_ms, zone):
            is_response = one.category.value == "response"
            counts = Counts(
                one.category.value == "impression",
                *(is_response and one.classification.value == name for name in ("positive", "negative", "neutral")),
                one.is_conversion,
            )
            found[subject_of(one)] = found.get(subject_of(one), Counts()).plus(counts)
    return found


def check(found: FactsResult, contacts: Sequence[Contact], asked: FactsQuery) -> None:
    mine = [one for one in contacts if (one.tenant_id, one.customer_id) == (asked.tenant_id, asked.customer_id)]
    for window in asked.windows:
        assert found.counts.get(window, {}) == expected_counts(mine, asked, window), window
    times: dict[Subject, list[int]] = {}
    outcomes: dict[tuple[str, Subject], list[int]] = {}
    for one in mine:
        times.setdefault(subject_of(one), []).append(one.occurred_at_ms)
        if one.outcome in asked.outcomes:
            outcomes.setdefault((one.outcome, subject_of(one)), []).append(one.occurred_at_ms)
    assert found.last_contact_ms == {subject: max(at) for subject, at in times.items()}
    assert found.last_outcome_ms == {key: max(at) for key, at in outcomes.items()}


@pytest.mark.parametrize("seed", range(4))
def test_facts_agree_with_the_summaries_however_far_the_history_is_ahead(store: Store, seed: int):
    rng = random.Random(seed)
    log = Log(store)
    for _ in range(300):
        received_at_ms = NOW - rng.choice([0, 1, 24, 36, 24 * 7, 24 * 40]) * HOUR_MS - rng.randrange(30 * HOUR_MS)
        log.add(
            rng.choice(["impression", "click", "dismiss", "convert", "recommendation"]),
            received_at_ms + rng.randrange(-48, 25) * HOUR_MS * rng.randrange(2),
            received_at_ms=received_at_ms,
            source=rng.choice(["s/0", "s/1"]),
            tenant_id=rng.choice(["acme", "kiwi"]),
            customer_id=rng.choice(["ann", "bob", "it's"]),
            offer_id=rng.choice(["", "loan", "card"]),
            channel_id=rng.choice(["", "web"]),
        )
    counted = log.write(applied=rng.choice([0.5, 0.9, 1.1]))
    asked = [
        request(
            tenant_id=tenant_id,
            time_zone=ZONES[tenant_id],
            customer_id=customer_id,
            customer_zone=rng.choice([None, "Asia/Tokyo", ZONES[tenant_id]]),
            outcomes=frozenset(rng.sample(["click", "dismiss", "convert"], rng.randrange(3))),
            contact_days=90.0,
        )
        for tenant_id in ZONES
        for customer_id in ("ann", "bob", "it's", "nobody")
    ]
    for facts, one in zip(read_facts(store, [*asked, asked[0]]), [*asked, asked[0]], strict=True):
        check(facts, counted, one)


def test_an_exposure_counts_once_the_summaries_count_it(store: Store):
    log = Log(store)
    log.add(offer_id="loan", recommendation="r1", rank="2")
    log.add("click", offer_id="loan", recommendation="r1", rank="1")
    log.add(offer_id="loan", recommendation="r2", rank="1")
    log.add(offer_id="loan", recommendation="r3", rank="1", customer_id="bob")
    log.write(applied=1.0)  # the first two
    (facts,) = read_facts(store, [request(exposures=frozenset({"r1", "r2", "r3"}))])
    assert facts.exposed == {Exposure("r1", 2)}
    assert facts.counts[ALL_TIME] == {Subject("loan", "", ""): Counts(impressions=1, positive=1)}


def test_metrics_are_loaded_with_the_facts_of_queries_that_ask_for_them(store: Store):
    log = Log(store)
    log.add("click")
    log.write(applied=2)
    clicks = MetricDefinition(id="m", name="m", key="clicks", filter_conditions={"outcome": ["click"]})
    with_metric, without = read_facts(store, [request(metrics=[clicks]), request(customer_id="bob")])
    assert (with_metric.metrics, without.metrics) == ({"clicks": 1.0}, {})


@pytest.mark.parametrize("seed", range(3))
def test_metrics_count_the_events_that_the_summaries_count(store: Store, seed: int):
    rng = random.Random(seed)
    rows = [
        event(
            NOW - rng.choice([-3, 0, 1, 20, 50]) * 24 * HOUR_MS - rng.randrange(HOUR_MS),
            outcome=rng.choice(["impression", "click", "dismiss", "recommendation"]),
            offer_id=rng.choice(["loan", "card"]),
            conversion_value=rng.choice([None, 0.5, 7.25, -3.0]),
            source="s/0",
            offset=number,
        )
        for number in range(200)
    ]
    write(store, rows)
    counted = {name: rng.randrange(100, 200) for name in ("loan", "card")}
    places = [{"offer_id": name, "applied_offset": offset, "impressions": 1} for name, offset in counted.items()]
    contact(store, *({"customer_id": "ann", "period_type": "alltime", "source": "s/0", **one} for one in places))
    metrics = [
        MetricDefinition(
            id="m",
            name="m",
            key=f"m{number}",
            aggregate_function=aggregate,
            source_field="*" if aggregate == "count" and rng.random() < 0.5 else "conversion_value",
            window_days=rng.choice([None, 1, 30]),
            filter_conditions=rng.choice([{}, {"outcome": ["click", "recommendation"]}, {"offerId": ["loan"]}]),
        )
        for number, aggregate in enumerate(["count", "sum", "avg", "min", "max"] * 3)
    ]
    (facts,) = read_facts(store, [request(metrics=metrics)])
    known = [
        MetricEvent(
            occurred_ms=one["at_ms"],
            **{name: one[name] for name in MetricEvent._fields if name in one and name != "conversion_value"},
            conversion_value=None if one["conversion_value"] is None else Decimal(str(one["conversion_value"])),
        )
        for one in rows
        if one["category"] == "recommendation" or one["offset"] <= counted[one["offer_id"]]
    ]
    expected = {one.key: measure(one, known, NOW) for one in metrics}
    assert facts.metrics == {key: value for key, value in expected.items() if value is not None}


def test_totals_of_a_tenant_count_today_in_its_time_zone(store: Store):
    log = Log(store)
    log.add(offer_id="loan", channel_id="web", customer_id="bob", at_ms=NOW - HOUR_MS)
    log.add(offer_id="loan", channel_id="web", at_ms=NOW - 2 * HOUR_MS)  # 23:13 of the day before in New York
    log.add("click", offer_id="loan", channel_id="web")
    log.add("dismiss", offer_id="loan", channel_id="web")
    log.add(offer_id="loan", tenant_id="kiwi")
    log.add(offer_id="loan", channel_id="web", at_ms=NOW + 23 * HOUR_MS, received_at_ms=NOW)  # dated into tomorrow
    log.write(applied=2)
    today = to_local_date(NOW, ZONES["acme"])
    assert read_offer_totals(store, "acme", today) == [OfferTotals("loan", "web", 2, 3, 1, 1)]
