"""Recommend and journeys load the facts about a customer in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.decision_traces.service import read_record
from rapport.application.decisions.load_facts import load_decision_facts
from rapport.application.journeys.journey_cache import JourneyCache
from rapport.domain.catalogue.strategy import ContactPolicy, MetricDefinition
from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.decisions.record import record_customer, restore_customer
from rapport.storage.decisions import find_decision
from tests.api.decision_catalogue import cap, offer, recommend, stock
from tests.api.segment_calls import define, keep, tier

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

VIEWS = MetricDefinition(
    id="views", name="Views", key="views", aggregate_function="count", source_field="*", window_days=30
)
FEW_VIEWS = ContactPolicy(
    id="few",
    name="Few views",
    rule_type="metric_condition",
    scope=ScopeKind.GLOBAL,
    config={"metric": "views", "operator": "gte", "value": 100},
)


def test_journeys_decide_by_the_facts_that_recommend_records(caller: Caller):
    """Attributes, segments, consents, contacts and metrics, of all ids of a merged customer."""
    stock(caller, *offer("loan"), *offer("card"), cap(9), VIEWS, FEW_VIEWS)
    keep(caller, ann={"tier": "gold", "timezone": "Europe/Berlin"}, bob={"tier": "silver", "city": "Bonn"})
    define(caller, "gold", tier("gold"))
    assert caller.post("/segments/gold/refresh").status_code < 300
    revoked = {"consents": [{"purpose": "sms", "status": "revoked"}]}
    assert caller.ask("PUT", "/customers/bob/consents", json=revoked).status_code == 200
    seen = {"offerId": "loan", "creativeId": "loan-web", "channelId": "web"}
    caller.record({"customerId": "ann", **seen, "outcome": "impression"})
    caller.record({"customerId": "bob", **seen, "outcome": "dismiss"})
    caller.read("/interaction-summaries", params={"customerId": "ann"})
    assert caller.post("/identity", {"action": "merge", "sourceId": "bob", "targetId": "ann"}).status_code < 300
    decision_id = recommend(caller, "bob")["recommendationId"]
    caller.read(f"/decision-traces/{decision_id}")
    stored = find_decision(caller.store, caller.tenant_id, decision_id)
    record = read_record(stored) if stored else None
    assert record is not None
    assert record.customer is not None
    recorded = restore_customer(record.customer)

    cache = JourneyCache(caller.store, refresh_s=0)
    cache.refresh(at_once=True)
    config = cache.load_configuration(caller.tenant_id)
    loaded, _ = load_decision_facts(caller.store, config.tenant, config.catalogue, "bob", record.decided_at_ms)
    assert restore_customer(record_customer(loaded)) == recorded
    assert (recorded.person_id, recorded.attributes["tier"], recorded.attributes["city"]) == ("ann", "gold", "Bonn")
    assert recorded.segments == {"gold", "Gold"}
    assert recorded.withheld >= {"sms"}
    assert recorded.metrics == {"views": 2.0}
    assert {subject.offer_id for counts in recorded.counts.values() for subject in counts} == {"loan"}
    assert [outcome for outcome, _ in recorded.last_outcome_ms] == ["dismiss"]
