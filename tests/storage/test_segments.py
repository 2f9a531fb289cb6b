"""Membership of segments: agrees with a computation in plain Python, and is kept over refreshes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import pytest

from rapport.domain.catalogue.strategy import MetricDefinition
from rapport.domain.conditions import Condition, compile_condition
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.numbers import MAX_NUMBER
from rapport.domain.periods import DAY_MS
from rapport.domain.profiles.identity import MergeStatement
from rapport.domain.profiles.segments import Segment, SegmentFilter
from rapport.storage.catalogue_changes import Author
from rapport.storage.customers import change_customers, load_customers
from rapport.storage.identity import append_statement
from rapport.storage.segments import (
    RefreshContext,
    count_overlaps,
    list_members,
    load_memberships,
    load_refreshes,
    refresh_segment,
)
from tests.domain.number_texts import NUMBERS, TEXTS
from tests.fixtures.interactions import event, write
from tests.storage.metric_definitions import metric
from tests.storage.summary_rows import COUNTS, NOW, ZONE, contact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rapport.storage.client import Store

VALUES: Final = (None, True, False, 0, 1, -2.5, 0.1, 12345.678901234567, "", "1", " 7 ", "gold", "Gold", "ö'\\", "9")


def keep(store: Store, tenant: str = "acme", **customers: Mapping[str, Any] | None) -> None:
    """Store attributes of customers for the tenant."""
    change_customers(store, tenant, Author("tests"), customers, lambda _: dict(customers))


def segment(*filters: tuple[str, Any, Any], name: str = "s", combinator: Any = "AND") -> Segment:
    made = [SegmentFilter(field=field, operator=operator, value=value) for field, operator, value in filters]
    return Segment(id=name, name=name, filters=made, combinator=combinator)


def tenancy(*metrics: MetricDefinition) -> RefreshContext:
    return RefreshContext(tenant_id="acme", time_zone=ZONE, metrics={one.key: one for one in metrics})


def members(store: Store, name: str = "s") -> dict[str, int]:
    return {one.customer_id: one.member_since_ms for one in list_members(store, "acme", name, after="", limit=1_000)}


def refreshed(store: Store, one: Segment, now_ms: int = NOW, *, whose: RefreshContext | None = None) -> dict[str, int]:
    refresh = refresh_segment(store, whose or tenancy(), one, 1, now_ms)
    found = members(store, one.id)
    assert refresh.customer_count == len(found)
    return found


def random_filter(rng: random.Random, metrics: Sequence[MetricDefinition]) -> tuple[str, Any, Any]:
    field = rng.choice(
        [
            *(f"customer.{name}" for name in ("a", "b", "list", "home.city", "dotted.name", "nothing")),
            "summary.impressions",
            "summary.monthly.converts",
            "summary.totalValue",
            "summary.daily.lastContactDays",
            "summary.lastContactDays",
            *(f"metric.{one.key}" for one in metrics),
        ]
    )
    operator = rng.choice(
        ["eq", "neq", "gt", "gte", "lt", "lte", "in", "not_in", "contains", "starts_with", "is_null", "exists"]
    )
    if operator in ("in", "not_in"):
        return field, operator, rng.sample(VALUES, rng.randrange(4))
    if operator in ("gt", "gte", "lt", "lte"):
        return field, operator, rng.choice([0, 1, 2, 0.1, 29.5, True, "gold", "7", "Z"])
    if operator in ("contains", "starts_with"):
        return field, operator, rng.choice(["o", "gold", "1", "'", 1, 7, 0.1])
    return field, operator, rng.choice(VALUES)


def random_attributes(rng: random.Random) -> dict[str, Any]:
    kept: dict[str, Any] = {name: rng.choice(VALUES) for name in ("a", "b", "dotted.name") if rng.random() < 0.8}
    if rng.random() < 0.6:
        kept["home"] = rng.choice([{"city": rng.choice(VALUES)}, {}, "here"])
    if rng.random() < 0.6:
        kept["list"] = rng.sample(VALUES, rng.randrange(4))
    return kept


def random_contacts(rng: random.Random, customers: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "customer_id": customer,
            "period_type": period,
            "source": source,
            "offer_id": rng.choice(["", "loan"]),
            "last_contact_at": NOW - rng.randrange(60 * DAY_MS),
            "total_value": rng.randrange(100) / 4,
            **{name: rng.randrange(3) for name in COUNTS},
        }
        for customer in customers
        for source in ("a", "b")
        for period in ("daily", "monthly", "alltime")
        if rng.random() < 0.4
    ]


def compute_value(
    field: str,
    attributes: Mapping[str, Any],
    contacts: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    metrics: Sequence[MetricDefinition],
) -> Any:
    """Compute the value of a customer's field in plain Python."""
    source, _, name = field.partition(".")
    if source == "customer":
        if name in attributes:
            return attributes[name]
        head, _, rest = name.partition(".")
        inner = attributes.get(head)
        return inner.get(rest) if isinstance(inner, dict) else None
    if source == "metric":
        (definition,) = [one for one in metrics if one.key == name]
        found = [one["conversion_value"] for one in events if one["conversion_value"] is not None]
        if definition.aggregate_function == "count":
            return float(len(events))
        return max(found, default=None)
    period, _, inner = name.rpartition(".")
    rows = {(one["period_type"], one["source"], one["offer_id"]): one for one in contacts}.values()
    rows = [one for one in rows if one["period_type"] == (period or "alltime")]
    rows = [one for one in rows if sum(one[count] for count in COUNTS[:4])]
    if inner == "lastContactDays":
        return max((NOW - one["last_contact_at"] for one in rows), default=None) and (
            (NOW - max(one["last_contact_at"] for one in rows)) / DAY_MS
        )
    return float(sum(one[{"totalValue": "total_value"}.get(inner, inner)] for one in rows))


@pytest.mark.parametrize("seed", range(2))
def test_members_agree_with_a_plain_python_computation(store: Store, seed: int):
    rng = random.Random(seed)
    names = [f"c{number}" for number in range(40)]
    attributes = {name: random_attributes(rng) for name in names if rng.random() < 0.8}
    keep(store, **attributes)
    keep(store, "other", c0={"a": "gold"}, stranger={"a": "gold"})
    contacts = random_contacts(rng, names)
    contact(store, *contacts)
    events = [
        event(NOW - rng.randrange(DAY_MS), customer=rng.choice(names), conversion_value=rng.choice([None, 1.5, 7.0]))
        for _ in range(60)
    ]
    write(store, events)
    metrics = [metric("clicks"), metric("largest", "max", "conversion_value")]
    of_whom = {name: [one for one in contacts if one["customer_id"] == name] for name in names}
    everybody = set(attributes) | {
        name for name, rows in of_whom.items() if compute_value("summary.lastContactDays", {}, rows, (), ()) is not None
    }
    for number in range(15):
        filters = [random_filter(rng, metrics) for _ in range(rng.randint(1, 3))]
        one = segment(*filters, name=f"s{number}", combinator=rng.choice(["AND", "OR"]))
        expected = set()
        for name in everybody:
            mine = [each for each in events if each["customer_id"] == name]
            verdicts = [
                compile_condition(Condition(field=field, operator=operator, value=value)).holds(
                    compute_value(field, attributes.get(name, {}), of_whom[name], mine, metrics)
                )
                for field, operator, value in filters
            ]
            if (all if one.combinator == "AND" else any)(verdicts):
                expected.add(name)
        assert set(refreshed(store, one, whose=tenancy(*metrics))) == expected, (one.combinator, filters)


def test_segments_and_rules_read_the_same_texts_as_numbers(store: Store):
    texts = [*NUMBERS, *(text for text in TEXTS if text)]
    keep(store, **{f"c{place}": {"a": text} for place, text in enumerate(texts)})
    for operator in ("gte", "lt"):
        found = set(refreshed(store, segment(("customer.a", operator, 0), name=operator)))
        rule = compile_condition(Condition(field="customer.a", operator=operator, value=0))
        assert found == {f"c{place}" for place, text in enumerate(texts) if rule.holds(text)}, operator


def test_a_member_who_stays_keeps_the_time_of_entry_and_a_returning_one_does_not(store: Store):
    gold = segment(("customer.tier", "eq", "gold"))
    keep(store, ann={"tier": "gold"}, bob={"tier": "gold"}, cid={"tier": "silver"})
    assert refreshed(store, gold, NOW) == {"ann": NOW, "bob": NOW}
    keep(store, bob={"tier": "silver"}, cid={"tier": "gold"})
    assert refreshed(store, gold, NOW + 1_000) == {"ann": NOW, "cid": NOW + 1_000}
    keep(store, bob={"tier": "gold"}, ann=None)
    assert refreshed(store, gold, NOW + 2_000) == {"bob": NOW + 2_000, "cid": NOW + 1_000}
    assert load_refreshes(store, "acme")["s"].refreshed_at_ms == NOW + 2_000
    keys = [CustomerKey("acme", "bob"), CustomerKey("other", "bob"), CustomerKey("acme", "ann")]
    assert load_memberships(store, keys) == [{"s": NOW + 2_000}, {}, {}]


def test_merged_customers_are_one_member_until_the_merge_is_undone(store: Store):
    keep(store, ann={"tier": "gold"}, anna={"tier": "x", "city": "Oslo"}, bob={"tier": "x"})
    contact(store, *({"customer_id": name, "period_type": "alltime", "positive": 2} for name in ("ann", "anna", "bob")))
    write(store, [event(NOW, customer=name) for name in ("ann", "anna", "bob")])
    one = segment(
        ("customer.tier", "eq", "gold"),
        ("customer.city", "eq", "Oslo"),
        ("summary.positive", "eq", 4),
        ("metric.clicks", "eq", 2),
    )
    assert refreshed(store, one, whose=tenancy(metric("clicks"))) == {}
    merge = MergeStatement(merge_id="m1", source_id="anna", target_id="ann")
    append_statement(store, "acme", merge, Author("tests"))
    assert refreshed(store, one, whose=tenancy(metric("clicks"))) == {"ann": NOW}
    append_statement(store, "acme", merge._replace(is_undone=True), Author("tests"))
    assert refreshed(store, one, whose=tenancy(metric("clicks"))) == {}


def test_a_segment_without_filters_or_by_a_missing_metric_has_no_members(store: Store):
    keep(store, ann={"tier": "gold"})
    assert refreshed(store, segment()) == {}
    assert refreshed(store, segment(("metric.gone", "gte", 0), name="t")) == {}


def test_text_that_looks_like_sql_is_a_value(store: Store):
    nasty = "') OR 1=1 --"
    keep(store, ann={nasty: nasty}, bob={"x": "y"})
    assert set(refreshed(store, segment((f"customer.{nasty}", "eq", nasty)))) == {"ann"}


def test_overlaps_are_counted_by_the_exact_set_of_segments(store: Store):
    keep(store, **{f"c{n}": {"n": n} for n in range(10)})
    refreshed(store, segment(("customer.n", "lt", 6), name="low"))
    refreshed(store, segment(("customer.n", "gte", 4), name="high"))
    everything = {frozenset({"low"}): 4, frozenset({"low", "high"}): 2, frozenset({"high"}): 4}
    assert count_overlaps(store, "acme", ["low", "high"], 1_000) == everything
    assert sum(count_overlaps(store, "acme", ["low", "high"], 3).values()) == 3
    assert count_overlaps(store, "other", ["low", "high"], 1_000) == {}


def test_members_are_listed_page_after_page(store: Store):
    keep(store, **{f"c{n}": {"n": n} for n in range(5)})
    refreshed(store, segment(("customer.n", "exists", None)))
    first = list_members(store, "acme", "s", after="", limit=3)
    rest = list_members(store, "acme", "s", after=first[-1].customer_id, limit=3)
    assert [one.customer_id for one in (*first, *rest)] == [f"c{n}" for n in range(5)]
    assert {one.member_since_ms for one in first} == {NOW}


EDGES: Final = (
    *(sign * number for sign in (1, -1) for number in (2**53 - 2, 2**53 - 1, 2**53, 2**53 + 1, 2**63 + 1, 2**64 - 1)),
    *(1e17, -1.5e300, 2**64, 10**30, 10**400, -(10**400)),
    *("9007199254740993", "9" * 400, "1e999", "-1e999", "nan", "inf", "-Infinity"),
)
"""Numbers stored before their size had a limit, and texts that look like such numbers."""


def test_stored_numbers_of_any_size_compare_in_segments_as_in_rules(store: Store):
    keep(store, **{f"c{number}": {"n": value, "other": "here"} for number, value in enumerate(EDGES)})
    names = [f"c{number}" for number in range(len(EDGES))]
    stored = {name: one.attributes["n"] for name, one in load_customers(store, "acme", names).items()}
    asked = [
        (operator, value)
        for value in (MAX_NUMBER, -MAX_NUMBER, 0, 0.5, "9007199254740993", "nan", "1e999", "5")
        for operator in ("eq", "neq", "gt", "gte", "lt", "lte")
    ]
    asked += [("in", [MAX_NUMBER, "nan"]), ("not_in", [MAX_NUMBER - 1]), ("exists", None), ("contains", "9")]
    for number, (operator, value) in enumerate(asked):
        holds = compile_condition(Condition(field="customer.n", operator=operator, value=value)).holds
        expected = {name for name, kept in stored.items() if holds(kept)}
        found = refreshed(store, segment(("customer.n", operator, value), name=f"s{number}"))
        assert set(found) == expected, (operator, value)
    assert set(refreshed(store, segment(("customer.other", "eq", "here"), name="other"))) == set(stored)


@pytest.mark.parametrize("operator", ["eq", "neq", "gt", "in", "not_in", "lte"])
def test_a_stored_filter_by_a_too_long_number_matches_nobody(store: Store, operator: Any):
    keep(store, ann={"n": 1}, bob={})
    value = [10**400] if operator in ("in", "not_in") else 10**400
    assert refreshed(store, segment(("customer.n", operator, value))) == {}
