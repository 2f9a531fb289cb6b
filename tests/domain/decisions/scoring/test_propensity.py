from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.decisions.facts import Evidence, TenantFacts
from tests.domain.decisions.scoring.scoring_runs import (
    candidate,
    catalogue,
    constant,
    model,
    offer,
    record_of,
    run_of,
    score,
)

MODELS = catalogue([constant("m", 0.9), model("bandit", "thompson_bandit")])
ENOUGH = {("category", "credit"): Evidence(4, 16), ("channel", "web"): Evidence(6, 14), ("global", ""): Evidence(4, 6)}


def resolve(evidence: dict[tuple[str, str], Evidence], key: str = "", **request: Any) -> tuple[float, dict[str, Any]]:
    loan = candidate(offer("loan", category_id="credit"))
    run = run_of(loan, ready=MODELS, tenant=TenantFacts(evidence=evidence), **request)
    found = score(run, method="propensity", modelKey=key)["loan"]
    return found, dict(record_of(run, "loan").explanation["propensity"])


def without(*levels: str) -> dict[tuple[str, str], Evidence]:
    return {key: evidence for key, evidence in ENOUGH.items() if key[0] not in levels}


@pytest.mark.parametrize(
    ("evidence", "key", "value", "level"),
    [
        ({**ENOUGH, ("offer", "loan"): Evidence(10, 40)}, "m", 0.2, "offer"),
        ({**ENOUGH, ("offer", "loan"): Evidence(10, 39)}, "m", (10 + 10 * 0.2) / 59, "blend"),
        ({("offer", "loan"): Evidence(1, 0)}, "m", (1 + 10 * 0.9) / 11, "blend"),
        ({("offer", "loan"): Evidence(0, 1)}, "", (0 + 10 * 0.5) / 11, "blend"),
        (ENOUGH, "m", 0.2, "category"),
        ({**ENOUGH, ("category", "credit"): Evidence(4, 15)}, "m", 0.3, "channel"),
        (without("category", "channel"), "m", 0.4, "global"),
        ({**without("category"), ("channel", "web"): Evidence(6, 13)}, "m", 0.4, "global"),
        ({("global", ""): Evidence(4, 5)}, "m", 0.9, "model"),
        ({("global", ""): Evidence(4, 5)}, "", 0.5, "default"),
    ],
)
def test_propensity_comes_from_the_nearest_level_with_enough_evidence(
    evidence: dict[tuple[str, str], Evidence], key: str, value: float, level: str
):
    found, explanation = resolve(evidence, key)
    assert found == pytest.approx(value)
    assert explanation["level"] == level
    assert explanation["value"] == found


def test_a_blend_explains_its_inputs():
    _, explanation = resolve({**ENOUGH, ("offer", "loan"): Evidence(10, 30)})
    assert (explanation["positive"], explanation["negative"], explanation["smoothingWeight"]) == (10, 30, 10)
    assert explanation["fallback"] == {"level": "category", "positive": 4, "negative": 16, "value": 0.2}


def test_a_propensity_in_the_request_takes_precedence():
    found, explanation = resolve({("offer", "loan"): Evidence(10, 40)}, "bandit", propensities={"loan": 0.7})
    assert (found, explanation["level"]) == (0.7, "request")
    assert resolve({}, propensities={"loan": 1.7})[0] == 1
    assert resolve({}, propensities={"loan": float("nan")})[1]["level"] == "default"


def test_a_bandit_takes_precedence_over_evidence_that_it_already_includes():
    _, explanation = resolve({("offer", "loan"): Evidence(10, 40)}, "bandit")
    assert (explanation["level"], explanation["alpha"], explanation["beta"]) == ("model", 11, 41)


@given(st.integers(0, 100), st.integers(0, 100), st.floats(0, 1))
def test_a_blend_lies_between_the_rate_and_the_fallback(positive: int, negative: int, fallback: float):
    run = run_of(
        "loan",
        ready=catalogue([constant("m", fallback)]),
        tenant=TenantFacts(evidence={("offer", "loan"): Evidence(positive, negative)}),
    )
    found = score(run, method="propensity", modelKey="m")["loan"]
    rate = positive / (positive + negative) if positive + negative else fallback
    assert min(rate, fallback) - 1e-9 <= found <= max(rate, fallback) + 1e-9
