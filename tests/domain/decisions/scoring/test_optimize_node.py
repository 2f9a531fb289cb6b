from __future__ import annotations

import pytest

from rapport.domain.catalogue.strategy import RankingProfile
from rapport.domain.decisions.facts import TenantFacts
from tests.domain.decisions.scoring.scoring_runs import candidate, catalogue, offer, optimize, run_of, score


def test_optimize_replaces_scores_by_weighted_objectives_and_keeps_fit_and_levers():
    tenant = TenantFacts(shown={"loan": 100, "card": 25}, mean_shown=50)
    loan, card = offer("loan", margin=40.0, priority=20), offer("card", margin=10.0, priority=60)
    profile = RankingProfile(id="p", name="p", key="p", weights={"propensity": 0.2, "margin": 0.4, "beauty": 1.0})
    run = run_of(
        candidate(loan, fit=0.5),
        candidate(card),
        ready=catalogue(profiles=[profile]),
        tenant=tenant,
        propensities={"loan": 0.3},
        levers={"card": 2.0},
    )
    score(run)
    scores = optimize(run, profileId="p", weights={"margin": 0.5, "fairness": 0.3})
    assert scores["loan"] == pytest.approx((0.2 * 0.3 + 0.5 * 40 / 140 + 0.3 / 3) * 0.5)
    assert scores["card"] == pytest.approx((0.2 * 0.5 + 0.5 * 10 / 110 + 0.3 / 1.5) * 2)
    assert "beauty" in run.recorder.problems[0]


def test_optimize_without_a_known_objective_leaves_the_scores():
    run = run_of("loan")
    before = score(run)
    assert optimize(run, profileId="gone") == before
    assert len(run.recorder.problems) == 2
