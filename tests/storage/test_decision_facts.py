from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import polars as pl
import pytest

from pipeline.fold import STATE_SCHEMA
from rapport.domain.catalogue.strategy import MetricDefinition
from rapport.domain.decisions.contact_facts import Exposure, FactsQuery, FactsResult
from rapport.domain.decisions.facts import Counts, Subject
from rapport.domain.decisions.tenant_totals import OfferTotals
from rapport.domain.decisions.windows import ALL_TIME, Window, WindowKind, WindowUnit, WindowZone
from rapport.domain.metrics import MetricEvent, measure
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES
from rapport.domain.periods import local_date
from rapport.domain.summaries import Contact, fold
from rapport.storage.decision_facts import read_facts
from rapport.storage.offer_totals import read_offer_totals
from rapport.storage.stream import MILLIS, write_summaries
from tests.storage.test_metrics import event, write
from tests.storage.test_segments import contact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rapport.storage.client import Store

NOW: Final = 1_772_000_000_123  # 2026-02-25 06:13:20 UTC
HOUR_MS: Final = 3_600_000
ZONES: Final = {"acme": "America/New_York", "kiwi": "Pacific/Auckland"}
TYPES: Final = {one.key: one for one in DEFAULT_OUTCOME_TYPES}
WINDOWS: Final = frozenset(
    Window(kind, unit, zone, count)
    for kind, unit, zone, count in [
        (WindowKind.CALENDAR, WindowUnit.HOUR, WindowZone.TENANT, 1),
        (WindowKind.CALENDAR, WindowUnit.DAY, WindowZone.TENANT, 1),
        (WindowKind.CALENDAR, WindowUnit.WEEK, WindowZone.TENANT, 1),
        (WindowKind.CALENDAR, WindowUnit.MONTH, WindowZone.TENANT, 1),
        (WindowKind.CALENDAR, WindowUnit.DAY, WindowZone.CUSTOMER, 1),
        (WindowKind.CALENDAR, WindowUnit.MONTH, WindowZone.CUSTOMER, 1),
        (WindowKind.ROLLING, WindowUnit.HOUR, WindowZone.TENANT, 36),
        (WindowKind.ROLLING, WindowUnit.DAY, WindowZone.TENANT, 7),
        (WindowKind.CALENDAR, WindowUnit.ALL, WindowZone.TENANT, 1),
    ]
)


@pytest.fixture(params=["read", "counted by the engine"], autouse=True)
def long_history(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short histories are read, long ones counted by the engine: both say the same."""
    if request.param != "read":
        monkeypatch.setattr("rapport.storage.customer_reads.LONG_HISTORY", 0)


@dataclass(frozen=True)
class Happened:
    """One event, with what a contact does not know."""

    contact: Contact
    received_at_ms: int
    recommendation_id: str = ""
    rank: int = 0


@dataclass
class Log:
    """Events as they are in the history, of which the summaries count the first so many of each source."""

    store: Store
    events: list[Happened] = field(default_factory=list)

    def add(
        self,
        outcome: str = "impression",
        at_ms: int = NOW - HOUR_MS,
        *,
        received_at_ms: int | None = None,
        source: str = "s/0",
        **fields: str,
    ) -> None:
        recommendation_id, rank = fields.pop("recommendation", ""), int(fields.pop("rank", "0"))
        tenant_id = fields.get("tenant_id", "acme")
        known = TYPES[outcome]
        contact = Contact(
            source=source,
            offset=sum(1 for one in self.events if one.contact.source == source),
            item=0,
            occurred_at_ms=at_ms,
            local_day=local_date(at_ms, ZONES[tenant_id]),
            outcome=outcome,
            classification=known.classification,
            category=known.category,
            is_conversion=known.is_conversion,
            direction="outbound",
            **{
                "tenant_id": "acme",
                "customer_id": "ann",
                "offer_id": "",
                "creative_id": "",
                "channel_id": "",
                **fields,
            },
        )
        received_at_ms = at_ms if received_at_ms is None else received_at_ms
        self.events.append(Happened(contact, received_at_ms, recommendation_id, rank))

    def write(self, *, applied: float = 1.0) -> list[Contact]:
        """Write all of the history, and the summaries of the first part of it; what these count, when it counts."""
        rows = [
            {
                **{name: value for name, value in asdict(one.contact).items() if name != "local_day"},
                "id": f"{one.contact.occurred_at_ms:012x}{number:026x}",
                "recommendation_id": one.recommendation_id,
                "rank": one.rank,
                "received_at_ms": one.received_at_ms,
            }
            for number, one in enumerate(self.events)
        ]
        moment, received = pl.col("occurred_at_ms").cast(MILLIS), pl.col("received_at_ms").cast(MILLIS)
        frame = pl.DataFrame(rows, schema_overrides={"rank": pl.UInt16}).drop("conversion_value")
        frame = frame.with_columns(occurred_at=moment, received_at=received, local_date=moment.dt.date())
        self.store.insert("interactions", frame.drop("occurred_at_ms", "received_at_ms"))
        applied_events = [one for one in self.events if one.contact.offset < applied * len(self.events) / 2]
        folded = fold({}, [one.contact for one in applied_events])
        summaries = [asdict(key) | asdict(value) for key, value in folded.items()]
        write_summaries(self.store, pl.DataFrame(summaries, schema=STATE_SCHEMA))
        return [
            replace(one.contact, occurred_at_ms=min(one.contact.occurred_at_ms, one.received_at_ms))
            for one in applied_events
            if one.contact.category.value != "recommendation"
        ]


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
def test_facts_are_those_of_one_state_of_the_stream_however_far_the_history_is_ahead(store: Store, seed: int):
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


def test_an_exposure_is_known_once_the_summaries_count_it(store: Store):
    log = Log(store)
    log.add(offer_id="loan", recommendation="r1", rank="2")
    log.add("click", offer_id="loan", recommendation="r1", rank="1")
    log.add(offer_id="loan", recommendation="r2", rank="1")
    log.add(offer_id="loan", recommendation="r3", rank="1", customer_id="bob")
    log.write(applied=1.0)  # the first two
    (facts,) = read_facts(store, [request(exposures=frozenset({"r1", "r2", "r3"}))])
    assert facts.exposed == {Exposure("r1", 2)}
    assert facts.counts[ALL_TIME] == {Subject("loan", "", ""): Counts(impressions=1, positive=1)}


def test_metrics_come_with_the_facts_of_those_who_want_them(store: Store):
    log = Log(store)
    log.add("click")
    log.write(applied=2)
    clicks = MetricDefinition(id="m", name="m", key="clicks", filter_conditions={"outcome": ["click"]})
    with_metric, without = read_facts(store, [request(metrics=[clicks]), request(customer_id="bob")])
    assert (with_metric.metrics, without.metrics) == ({"clicks": 1.0}, {})


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_those_of_the_events_that_the_summaries_count(store: Store, seed: int):
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
    assert read_offer_totals(store, "acme", ZONES["acme"], NOW) == [OfferTotals("loan", "web", 2, 3, 1, 1)]
