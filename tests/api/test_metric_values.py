"""Values of behavioral metrics, per customer and per metric."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from api.http.times import iso, parse_time
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.strategy import ContactPolicy, MetricDefinition, QualificationRule
from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.periods import DAY_MS
from tests.api.decision_catalogue import offer, offers_of, recommend, stock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fixtures.api import Caller, CallerFactory

CLICKS: Final = {
    "key": "clicks-30d",
    "name": "Clicks of 30 days",
    "windowDays": 30,
    "filterConditions": {"outcome": ["click"], "channelId": ["web", "app"]},
}
ORDER: Final = {"key": "largest", "name": "Largest", "aggregateFunction": "max", "sourceField": "conversion_value"}


def define(caller: Caller, **fields: Any) -> str:
    answer = caller.post("/behavioral-metrics", fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def event(days_ago: float = 0, **fields: Any) -> Mapping[str, Any]:
    at_ms = int(time.time() * 1000 - days_ago * DAY_MS)
    return {"customerId": "ann", "outcome": "click", "channelId": "web", "timestamp": iso(at_ms), **fields}


def test_a_customer_has_a_value_of_every_active_metric(caller: Caller):
    define(caller, **CLICKS)
    define(caller, **ORDER)
    define(caller, key="paused", name="Paused", status="paused")
    before_ms = int(time.time() * 1000)
    caller.record(
        event(),
        event(29.9, channelId="app"),
        event(30.1),
        event(channelId="mail"),
        event(outcome="convert", conversionValue=12.5),
        event(outcome="convert", conversionValue=7),
        event(customerId="bob"),
    )
    answer = caller.read("/customers/ann/metrics", role=Role.VIEWER)
    computed_at_ms = parse_time(answer.pop("computedAt"))
    assert answer == {"customerId": "ann", "values": {"clicks-30d": 2, "largest": 12.5}}
    assert computed_at_ms is not None
    assert before_ms <= computed_at_ms <= time.time() * 1000
    assert caller.read("/customers/nobody/metrics")["values"] == {"clicks-30d": 0, "largest": None}


def test_a_metric_has_values_of_the_customers_asked_for_by_key_or_id(caller: Caller):
    metric_id = define(caller, **CLICKS, status="draft")
    caller.record(event(), event(customerId="bob"), event(customerId="bob"))
    parameters = {"customerId": ["bob", "nobody", "ann", "bob"]}
    answer = caller.read("/behavioral-metrics/clicks-30d/values", params=parameters, role=Role.VIEWER)
    assert (answer["id"], answer["key"]) == (metric_id, "clicks-30d")
    assert answer["data"] == [
        {"customerId": "bob", "value": 2},
        {"customerId": "nobody", "value": 0},
        {"customerId": "ann", "value": 1},
    ]
    by_id = caller.read(f"/behavioral-metrics/{metric_id}/values", params=parameters)
    assert by_id["data"] == answer["data"]


def test_tenants_do_not_see_each_others_events_or_metrics(caller: Caller, new_caller: CallerFactory):
    other = new_caller()
    define(caller, **CLICKS)
    other.record(event())
    other.read("/interaction-history", params={"customerId": "ann"})
    assert caller.read("/customers/ann/metrics")["values"] == {"clicks-30d": 0}
    assert other.read("/customers/ann/metrics")["values"] == {}
    assert other.get("/behavioral-metrics/clicks-30d/values", params={"customerId": "ann"}).status_code == 404


@pytest.mark.parametrize("customers", [[], [""], ["x" * 257], [f"c{number}" for number in range(201)]])
def test_values_need_one_to_two_hundred_customers(caller: Caller, customers: list[str]):
    answer = caller.get("/behavioral-metrics/any/values", params={"customerId": customers})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["details"]] == ["customerId"]


def test_policies_and_rules_decide_by_the_values_that_are_answered(caller: Caller):
    too_many = {"metric": "clicks", "operator": "gte", "value": 3}
    some = {"metric": "clicks", "operator": "gte", "value": 1}
    stock(
        caller,
        *offer("loan", priority=90),
        *offer("card", priority=50),
        MetricDefinition(id="m1", name="m1", key="clicks", window_days=30, filter_conditions={"outcome": ["click"]}),
        ContactPolicy(id="p1", name="Enough", rule_type="metric_condition", scope=ScopeKind.GLOBAL, config=too_many),
        QualificationRule(
            id="q1",
            name="Interested",
            rule_type="metric_condition",
            scope=ScopeKind.OFFER,
            scope_id="card",
            config=some,
        ),
    )

    def decided() -> tuple[float, list[str]]:
        value = caller.read("/customers/ann/metrics")["values"]["clicks"]
        return value, offers_of(recommend(caller))

    assert decided() == (0, ["loan"])
    caller.record(event(), event(30.1))
    assert decided() == (1, ["loan", "card"])
    caller.record(event(), event(29.9))
    assert decided() == (3, [])
