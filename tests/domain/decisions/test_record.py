from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.decisions.candidates import PlacementRequest, Request
from rapport.domain.decisions.decision import Decision, Funnel
from rapport.domain.decisions.facts import Counts, CustomerFacts, Evidence, ReservedImpression, Subject, TenantFacts
from rapport.domain.decisions.record import (
    CustomerRecord,
    DecisionRecord,
    ReadTrackingMapping,
    TenantRecord,
    encode_record,
    record_customer,
    record_request,
    record_tenant,
    restore_customer,
    restore_request,
    restore_tenant,
)
from rapport.domain.decisions.trace import Removal, ScoreRecord, Trace
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit, WindowZone

names = st.text("ab:'é", max_size=4)
numbers = st.integers(0, 2**53)
shares = st.floats(0, 1)
scalars = st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | names
values = scalars | st.lists(scalars, max_size=2)
objects = st.dictionaries(names, values, max_size=3)
subjects = st.builds(Subject, names, names, names)
windows = st.builds(
    Window, st.sampled_from(WindowKind), st.sampled_from(WindowUnit), st.sampled_from(WindowZone), st.integers(1, 99)
)
counts = st.builds(Counts, numbers, numbers, numbers, numbers, numbers)
customers = st.builds(
    CustomerFacts,
    attributes=objects,
    segments=st.frozensets(names, max_size=2),
    metrics=st.dictionaries(names, shares, max_size=2),
    time_zone=st.none() | names,
    counts=st.dictionaries(windows, st.dictionaries(subjects, counts, min_size=1, max_size=2), max_size=2),
    last_contact_ms=st.dictionaries(subjects, numbers, max_size=2),
    last_outcome_ms=st.dictionaries(st.tuples(names, subjects), numbers, max_size=2),
    reservations=st.lists(st.builds(ReservedImpression, subjects, numbers), max_size=2),
    withheld=st.frozensets(names, max_size=2),
    objections=st.tuples() | st.tuples(names),
)
requests = st.builds(
    Request,
    customer_id=names,
    channel_id=st.none() | names,
    limit=st.integers(1, 50),
    placements=st.lists(st.builds(PlacementRequest, placement_id=names, channel_id=st.none() | names), max_size=2),
    deduplicate=st.booleans(),
    attributes=objects,
    context=objects,
    segments=st.frozensets(names, max_size=2),
    excluded_offers=st.frozensets(names, max_size=2),
    propensities=st.dictionaries(names, shares, max_size=2),
    levers=st.dictionaries(names, shares, max_size=2),
)


def through_json(record: Any, kind: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(record), type=kind)


@given(customers)
def test_a_customers_facts_survive_the_round_trip(facts: CustomerFacts):
    assert restore_customer(through_json(record_customer(facts), CustomerRecord)) == facts


def test_an_older_record_keeps_the_missing_consent():
    assert restore_customer(CustomerRecord(has_consent=False)).withheld == {"marketing"}


@given(requests)
def test_requests_survive_the_round_trip(request: Request):
    restored = restore_request(through_json(record_request(request), dict[str, Any]))
    assert replace(restored, placements=list(restored.placements)) == request


def test_only_read_entries_of_a_tenants_facts_are_recorded():
    evidence = ReadTrackingMapping({("offer", "loan"): Evidence(3, 4), ("offer", "card"): Evidence(1, 1)})
    facts = TenantFacts(
        tenant_id="acme", time_zone="Asia/Tokyo", shown=ReadTrackingMapping({"loan": 7, "card": 2}), evidence=evidence
    )
    assert facts.evidence.get(("offer", "loan")) == Evidence(3, 4)
    assert facts.evidence.get(("offer", "none")) is None
    assert facts.shown.get("card", 0) == 2
    restored = restore_tenant(through_json(record_tenant(facts), TenantRecord))
    assert restored == TenantFacts(
        tenant_id="acme", time_zone="Asia/Tokyo", shown={"card": 2}, evidence={("offer", "loan"): Evidence(3, 4)}
    )


def record_of(removals: int, *, attributes: int = 0) -> DecisionRecord:
    trace = Trace(
        stages=(),
        removals=[Removal(stage="qualify", by="r", offer_id=f"o{n}", reason="x" * 50) for n in range(removals)],
        scores=[ScoreRecord(offer_id=f"o{n}", score=0.5) for n in range(removals)],
    )
    funnel = Funnel(candidate_count=0, after_qualification=0, after_contact_policy=0, final_count=0)
    decision = Decision(
        flow_key="base", flow_version=1, items=(), funnel=funnel, placement_results=(), experiments=(), trace=trace
    )
    return DecisionRecord(
        recommendation_id="r1",
        customer_id="ann",
        decided_at_ms=1,
        request={"customerId": "ann"},
        catalogue="1",
        seed=2**48 - 1,
        customer=CustomerRecord(attributes={"x": "y" * attributes}),
        decision=decision,
    )


def test_a_record_that_is_too_large_loses_trace_details_then_its_facts():
    whole = through_json(record_of(500), DecisionRecord)
    assert msgspec.json.decode(encode_record(whole, 1_000_000), type=DecisionRecord) == whole
    shorter = msgspec.json.decode(encode_record(whole, 40_000), type=DecisionRecord)
    assert (len(shorter.decision.trace.removals), len(shorter.decision.trace.scores)) == (200, 100)
    assert (shorter.trimmed, shorter.customer is None) == ({"removals": 300, "scores": 400}, False)
    large = record_of(500, attributes=60_000)
    shortest = msgspec.json.decode(encode_record(large, 40_000), type=DecisionRecord)
    assert (shortest.trimmed, shortest.customer) == ({"removals": 500, "scores": 500}, None)
    for most in (40_000, 4_000):
        assert len(encode_record(large, most)) <= most
