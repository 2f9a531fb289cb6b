from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from rapport.domain.decisions.facts import Evidence, Subject, TenantFacts
from rapport.domain.decisions.node_types import RankConfig
from rapport.domain.decisions.run import Run
from rapport.domain.decisions.scoring.creative_choice import choose_creatives
from rapport.domain.decisions.scoring.selection_probability import estimate_selection_probabilities
from tests.domain.decisions.scoring.scoring_runs import (
    candidate,
    catalogue,
    model,
    offer,
    optimize,
    rank,
    run_of,
    score,
)

BANDITS = catalogue([model("thompson", "thompson_bandit"), model("greedy", "epsilon_greedy", epsilon=0.3)])


def probabilities(run: Run, places: int, method: str = "top_score") -> dict[str, float]:
    config = msgspec.convert({"method": method, "maxCandidates": 50}, RankConfig)
    chances = estimate_selection_probabilities(run, run.candidates, config, places)
    return {subject.offer_id: chance for subject, chance in chances.items()}


def run_with(evidence: dict[str, tuple[int, int]], **options: Any) -> Run:
    facts = TenantFacts(evidence={("offer", one): Evidence(*counts) for one, counts in evidence.items()})
    return run_of(*evidence, ready=BANDITS, tenant=facts, **options)


def test_without_random_draws_shown_offers_have_probability_1():
    run = run_of(*(candidate(offer(one, priority=priority)) for one, priority in (("a", 30), ("b", 20), ("c", 10))))
    score(run)
    assert probabilities(run, 2) == {"a": 1, "b": 1, "c": 0}


def test_the_shares_of_a_creative_and_of_a_model_multiply():
    split = {"champion": {"modelKey": "thompson", "weight": 80}, "challengers": [{"modelKey": "greedy", "weight": 20}]}
    run = run_of(candidate("a", creative="x", weight=60), candidate("a", creative="y", weight=20), ready=BANDITS)
    score(run, method="propensity", championChallenger=split)
    model_share = run.candidates[0].share
    choose_creatives(run)
    (chosen,) = run.candidates
    assert chosen.creative
    creative_share = {"x": 0.75, "y": 0.25}[chosen.creative.id]
    assert model_share in {0.8, 0.2}
    found = estimate_selection_probabilities(run, run.candidates, RankConfig(), 1)
    assert found == {Subject("a", chosen.creative.id, "web"): pytest.approx(model_share * creative_share)}


def test_thompson_shows_the_better_offer_as_often_as_its_draw_is_the_higher_one():
    better, worse = stats.beta(16, 36), stats.beta(6, 46)
    exact, _ = integrate.quad(lambda x: better.pdf(x) * worse.cdf(x), 0, 1)
    estimates = []
    for seed in range(30):
        run = run_with({"a": (15, 35), "b": (5, 45)}, seed=seed)
        score(run, method="propensity", modelKey="thompson")
        estimates.append(probabilities(run, 1)["a"])
    assert sum(estimates) / len(estimates) == pytest.approx(exact, abs=0.04)
    assert all(abs(one - exact) < 0.1 for one in estimates)


def test_epsilon_greedy_shows_the_best_offer_unless_it_explores():
    run = run_with({"a": (30, 70), "b": (5, 95), "c": (5, 95)})
    score(run, method="propensity", modelKey="greedy")
    found = probabilities(run, 1)
    assert found["a"] == pytest.approx(0.7 + 0.3 / 3, abs=0.05)
    assert found["b"] == pytest.approx(0.3 / 3, abs=0.05)


@pytest.mark.parametrize("key", ["thompson", "greedy"])
@pytest.mark.parametrize("fitting", ["fit", "optimize"])
def test_the_estimates_agree_with_frequencies_over_many_decisions(key: str, fitting: str):
    evidence = {"a": (3, 7), "b": (2, 8), "c": (1, 9), "d": (0, 0)}
    shown: Counter[str] = Counter()
    expected: Counter[str] = Counter()
    for seed in range(400):
        run = run_with(evidence, seed=seed)
        run.candidates[0].fit = 0.6
        score(run, method="propensity", modelKey=key)
        if fitting == "optimize":
            optimize(run, weights={"propensity": 0.9, "emphasis": 0.1})
        for one, chance in probabilities(run, 2).items():
            expected[one] += chance  # type: ignore[assignment]
        shown.update(rank(run, "top_score", 2))
    for one in evidence:
        assert shown[one] / 400 == pytest.approx(expected[one] / 400, abs=0.1)


def test_a_score_that_a_plug_in_multiplied_is_multiplied_in_every_case():
    run = run_with({"a": (5, 5), "b": (5, 5)})
    score(run, method="propensity", modelKey="thompson")
    assert 0.3 < probabilities(run, 1)["a"] < 0.7
    run.candidates[0].score = (run.candidates[0].score or 0) * 50
    assert probabilities(run, 1) == {"a": 1, "b": 0}


@settings(max_examples=30)
@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1),
    st.sampled_from(["thompson", "greedy"]),
    st.sampled_from(["top_score", "diversity", "round_robin"]),
    st.integers(1, 5),
    st.integers(0, 99),
)
def test_probabilities_add_up_to_the_places_and_shown_offers_have_some(
    evidence: dict[str, tuple[int, int]], key: str, method: str, places: int, seed: int
):
    run = run_with(evidence, seed=seed)
    score(run, method="propensity", modelKey=key)
    found = probabilities(run, places, method)
    assert sum(found.values()) == pytest.approx(min(places, len(evidence)))
    assert all(0 <= chance <= 1 for chance in found.values())
    assert all(found[one] > 0 for one in rank(run, method, places))
