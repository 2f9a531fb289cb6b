from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.catalogues import group_by_kind, make_catalogue
from rapport.domain.decisions.candidates import PlacementRequest, Request
from rapport.domain.decisions.compile import compile_catalogue
from rapport.domain.decisions.decision import Decision, Funnel
from rapport.domain.decisions.engine import decide
from rapport.domain.decisions.facts import Counts, CustomerFacts, Evidence, ReservedImpression, Subject, TenantFacts
from rapport.domain.decisions.record import (
    CustomerRecord,
    DecisionRecord,
    ReadTrackingMapping,
    TenantRecord,
    decode_record,
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
    return msgspec.json.decode(msgspec.json.encode(record, enc_hook=list), type=kind)


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
        removals=[
            Removal(stage="qualify", by="r", offer_id=f"o{n}", reason=f"{n}" + "x" * 50) for n in range(removals)
        ],
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


def with_trace(trace: Trace) -> DecisionRecord:
    record = record_of(0)
    return msgspec.structs.replace(record, decision=msgspec.structs.replace(record.decision, trace=trace))


def read_again(record: DecisionRecord, max_bytes: int) -> DecisionRecord:
    return decode_record(encode_record(record, max_bytes))


removals = st.builds(
    Removal,
    stage=names,
    by=names,
    by_name=names,
    offer_id=names,
    creative_id=names,
    reason=names,
    detail=objects,
    placement_id=st.none() | names,
    is_fault=st.booleans(),
)
explanations = objects | st.fixed_dictionaries({"a": scalars, "b": st.fixed_dictionaries({"c": scalars})})
scores = st.builds(ScoreRecord, offer_id=names, creative_id=names, score=shares, explanation=explanations)
traces = st.builds(
    Trace, stages=st.just(()), removals=st.lists(removals, max_size=9), scores=st.lists(scores, max_size=9)
)


@given(traces)
def test_every_removal_and_score_survives_the_round_trip_in_its_order(trace: Trace):
    record = with_trace(trace)
    # As JSON, since 1, 1.0 and true are equal in Python.
    assert msgspec.json.encode(read_again(record, 1_000_000)) == msgspec.json.encode(
        msgspec.structs.replace(through_json(record, DecisionRecord), form=2)
    )


@given(st.lists(st.text("ab1-\u00e9\U0001f600", max_size=70), max_size=9))
def test_ids_of_any_length_and_characters_survive_the_round_trip(ids: list[str]):
    trace = Trace(stages=(), removals=(), scores=[ScoreRecord(offer_id=one, score=1.0) for one in ids])
    record = with_trace(trace)
    assert [one.offer_id for one in read_again(record, 1_000_000).decision.trace.scores] == ids


def test_an_older_record_whose_trace_is_not_packed_is_read():
    record = through_json(record_of(3), DecisionRecord)
    assert decode_record(msgspec.json.encode(record)) == record


def test_a_trace_of_a_thousand_offers_is_whole_and_below_40_kb():
    catalogue = compile_catalogue("acme", group_by_kind(make_catalogue(1_000)))
    flow = catalogue.choose_flow(None, None, None)
    assert flow is not None
    request = Request(
        customer_id="ann",
        channel_id="web",
        limit=3,
        segments=frozenset(["known"]),
        attributes={"age": 40, "name": "Ann"},
    )
    customer = CustomerFacts(segments=frozenset(["known"]), metrics={"clicks_30d": 5.0})
    decision = decide(catalogue, flow, request, customer, TenantFacts(tenant_id="acme"), now_ms=1, seed=1)
    assert min(len(decision.trace.removals), len(decision.trace.scores)) > 900
    record = msgspec.structs.replace(record_of(0), decision=decision, form=2)
    text = encode_record(record, 1_000_000)
    assert len(text) < 40_000
    assert decode_record(text) == through_json(record, DecisionRecord)


@pytest.mark.parametrize(
    "changes",
    [
        {"order": [0, 10**12]},
        {"order": [0, 10**12, 0, -(10**12)]},
        {"order": [0]},
        {"order": [7, 1]},
        {"offerIds": ["0a", "0b"]},
        {"offerIds": [""]},
        {"offerIds": ["!a"]},
        {"removals": [{"stage": "qualify", "by": "r", "reason": "x", "candidates": [9]}]},
        {"removals": [{"stage": "qualify", "by": "r", "reason": "x", "candidates": [0, -(10**12)]}], "order": [0, 9]},
        {"scores": [{"candidates": [0], "scores": [], "explanation": {"all": {}}}]},
        {"scores": [{"candidates": [0, -(10**12)], "scores": [1.0], "explanation": {"all": {}}}]},
        {"scores": [{"candidates": [0], "scores": [1.0], "explanation": {"each": []}}]},
        {"scores": [{"candidates": [0], "scores": [1.0], "explanation": {"all": 5}}]},
        {"scores": [{"candidates": [0], "scores": [1.0], "explanation": {}}]},
    ],
)
def test_a_packed_trace_that_does_not_add_up_is_refused(changes: dict[str, Any]):
    written = json.loads(encode_record(record_of(1), 1_000_000))
    written["packedTrace"] |= changes
    with pytest.raises(msgspec.ValidationError):
        decode_record(json.dumps(written))


def test_a_record_that_is_too_large_loses_trace_details_then_its_facts():
    whole = through_json(record_of(500), DecisionRecord)
    assert read_again(whole, 1_000_000) == msgspec.structs.replace(whole, form=2)
    shorter = read_again(whole, 40_000)
    assert (len(shorter.decision.trace.removals), len(shorter.decision.trace.scores)) == (200, 100)
    assert (shorter.trimmed, shorter.customer is None) == ({"removals": 300, "scores": 400}, False)
    large = record_of(500, attributes=60_000)
    shortest = read_again(large, 40_000)
    assert (shortest.trimmed, shortest.customer) == ({"removals": 500, "scores": 500}, None)
    for most in (40_000, 4_000):
        assert len(encode_record(large, most)) <= most
