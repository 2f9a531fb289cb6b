"""Decisions equal those of the plain evaluator, whose candidates know nothing of each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.decisions.engine import FlowEvaluation, decide, evaluate_flow
from tests.domain.decisions.oracle import engine as oracle
from tests.domain.decisions.random_catalogues import Case, make_case
from tests.domain.decisions.small_catalogue import NOW_MS

cases = st.builds(
    make_case,
    seed=st.integers(0, 2**32),
    offers=st.integers(0, 30),
    rules=st.integers(0, 10),
    policies=st.integers(0, 8),
    nodes=st.integers(0, 4),
)


def arguments_of(case: Case) -> tuple[list[Any], dict[str, Any]]:
    flow = case.catalogue.choose_flow(case.key, None, None)
    assert isinstance(flow, DecisionFlow), case.catalogue.problems
    positional = [case.catalogue, flow, case.request, case.customer, case.tenant]
    return positional, {"now_ms": NOW_MS, "seed": case.seed, "open_circuits": case.open_circuits}


def decode(decision: Any) -> Any:
    """Return a decision as plain values, without propensities: the plain evaluator has none."""
    plain = msgspec.json.decode(msgspec.json.encode(decision, enc_hook=list))
    for item in plain["items"]:
        del item["propensity"], item["propensityKind"]
    return plain


def list_evaluations(evaluation: FlowEvaluation) -> list[Any]:
    return [
        (
            offer_id,
            one.candidate.subject,
            (one.candidate.fit, one.candidate.score),
            (one.candidate.properties, one.candidate.personalization, one.candidate.explanation, one.candidate.content),
            list(one.verdicts.items()),
            dict(one.coverage),
            one.is_passing,
        )
        for offer_id, evaluated in evaluation.candidates.items()
        for one in evaluated
    ]


@settings(max_examples=300)
@given(cases)
def test_a_decision_equals_that_of_the_plain_evaluator(case: Case):
    positional, named = arguments_of(case)
    before = replace(case.request, customer_id="ann" if case.request.customer_id == "bob" else "bob")
    decide(case.catalogue, positional[1], before, *positional[3:], **named)  # what it leaves must change nothing
    assert decode(decide(*positional, **named)) == decode(oracle.decide(*positional, **named))


@settings(max_examples=100)
@given(cases)
def test_an_evaluation_of_all_rules_equals_that_of_the_plain_evaluator(case: Case):
    positional, named = arguments_of(case)
    positional.append(list(case.catalogue.offers.values()))
    evaluation, expected = evaluate_flow(*positional, **named), oracle.evaluate_flow(*positional, **named)
    assert list_evaluations(evaluation) == list_evaluations(expected)
