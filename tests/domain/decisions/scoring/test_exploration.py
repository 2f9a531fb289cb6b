"""The law of propensities: over many decisions, 1 / propensity weighs what was shown without bias.

For an offer that can be shown at a rank, given the items before it, the mean of 1{it is shown there} / propensity is 1.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.decisions.candidates import PlacementRequest
from rapport.domain.decisions.decision import Decision
from rapport.domain.decisions.engine import decide
from rapport.domain.decisions.facts import Evidence, TenantFacts
from rapport.domain.decisions.scoring.exploration import DRAWS, SlateDraw, _list_quantiles
from rapport.domain.decisions.valuation import BetaPosterior
from tests.domain.decisions.bank import bank, decided, flow
from tests.domain.decisions.random_catalogues import Case, make_case
from tests.domain.decisions.scoring.scoring_runs import catalogue, model, optimize, run_of, score
from tests.domain.decisions.small_catalogue import NOW_MS

CATALOGUES = 200
DECISIONS = 60
BANDITS = catalogue([model("thompson", "thompson_bandit"), model("greedy", "epsilon_greedy", epsilon=0.3)])
FOUR = {"loan": (30, 70), "card": (20, 80), "save": (25, 75), "fund": (5, 45)}


class Weighing:
    """Sums of 1{shown} and 1 / propensity by rank, items before it and offer."""

    def __init__(self) -> None:
        self._reached: Counter[tuple[Any, ...]] = Counter()
        self._shown: Counter[tuple[Any, ...]] = Counter()
        self._weights: defaultdict[tuple[Any, ...], float] = defaultdict(float)

    def note(self, about: Any, decision: Decision) -> None:
        """Note the items of one decision."""
        before: tuple[Any, ...] = ()
        places = [number for number, place in enumerate(decision.placement_results) for _ in range(place.count)]
        for item, place in zip(decision.items, places, strict=True):
            at = (about, place, before)
            self._reached[at] += 1
            self._shown[*at, item.offer_id, item.creative_id] += 1
            self._weights[*at, item.offer_id, item.creative_id] += 1 / item.propensity
            before = (*before, (item.offer_id, item.creative_id))

    def list_deviations(self) -> list[float]:
        """Return the deviations of the mean weights from 1, in standard errors, where enough is known."""
        deviations: list[float] = []
        for shown, times in self._shown.items():
            reached, mean_weight = self._reached[shown[:3]], self._weights[shown] / times
            chance = 1 / mean_weight
            if chance < 0.999 and reached * chance >= 8 and reached * (1 - chance) >= 8:
                error = math.sqrt(reached * chance * (1 - chance)) / chance
                deviations.append((self._weights[shown] - reached) / error)
            elif chance >= 0.999:
                assert times == reached, f"{shown} is certain, and was shown {times} times of {reached}"
        return deviations


def run_case(case: Case, chosen: DecisionFlow, seed: int) -> Decision:
    """Decide about a customer of one's own: arms and creatives are drawn with the customer."""
    request, customer = replace(case.request, customer_id=f"customer {seed}"), replace(case.customer, person_id="")
    return decide(case.catalogue, chosen, request, customer, case.tenant, now_ms=NOW_MS, seed=seed)


def list_arms(decision: Decision) -> list[object]:
    """List the arms that the customer is in: propensities are given these."""
    variants = {one.explanation.get("variant") for one in decision.trace.scores}
    return [decision.control_group, *decision.experiments, *sorted(map(str, variants))]


def test_the_law_holds_for_random_catalogues():
    """Caps, exclusions, floors, placements, plug-ins, experiments, holdouts and faulty content as they come."""
    weighing, cases, number = Weighing(), 0, 0
    while cases < CATALOGUES:
        number += 1
        case = make_case(number, 4 + number % 5, number % 2, number % 4, number % 4, explores=True)
        chosen = case.catalogue.choose_flow("f", None, None)
        if not isinstance(chosen, DecisionFlow):
            continue
        if all(item.propensity == 1 for seed in range(3) for item in run_case(case, chosen, seed).items):
            continue
        cases += 1
        for seed in range(DECISIONS):
            decision = run_case(case, chosen, seed)
            weighing.note((number, *list_arms(decision)), decision)
    deviations = weighing.list_deviations()
    assert len(deviations) > 150, "too few offers were drawn at random"
    assert max(map(abs, deviations)) < 4.5
    assert np.mean(np.square(deviations)) == pytest.approx(1, abs=0.2)


def bank_with(model_type: str, *, config: dict[str, Any] | None = None, **more: Any) -> Any:
    """Compile the bank's catalogue with a flow that scores by a model."""
    nodes = [
        {"type": "score", "config": {"method": "propensity", "modelKey": "m"}},
        {"type": "rank", "config": {"method": "top_score", "maxCandidates": 50}},
    ]
    models = [{"id": "m", "key": "m", "modelType": model_type, "config": config or {}}]
    return bank(**{"model": models, "decision_flow": [flow(*nodes)], **more})


def tenant_with(evidence: dict[str, tuple[int, int]]) -> TenantFacts:
    return TenantFacts(evidence={("offer", one): Evidence(*counts) for one, counts in evidence.items()})


def share_of(ready: Any, evidence: dict[str, tuple[int, int]], decisions: int = 600, **request: Any) -> Any:
    """Decide often; return by offer how often it was shown in a decision, and the mean of its propensities then."""
    shown: defaultdict[str, list[float]] = defaultdict(list)
    for seed in range(decisions):
        for item in decided(ready, tenant=tenant_with(evidence), key="f", seed=seed, **request).items:
            shown[item.offer_id].append(item.propensity)
    return {one: (len(found) / decisions, float(np.mean(found))) for one, found in shown.items()}


def test_thompson_shows_the_better_offer_as_often_as_its_draw_is_the_higher_one():
    better, worse = stats.beta(31, 71), stats.beta(21, 81)
    exact, _ = integrate.quad(lambda x: better.pdf(x) * worse.cdf(x), 0, 1, points=[0.2, 0.3, 0.4])
    ready = bank_with("thompson_bandit")
    found = share_of(ready, FOUR, limit=1, excluded_offers=frozenset(("save", "fund")))
    assert found["loan"] == (pytest.approx(exact, abs=0.05), pytest.approx(exact, abs=0.005))
    assert found["card"][1] == pytest.approx(1 - exact, abs=0.005)


@pytest.mark.parametrize(
    "policies",
    [
        [],
        [{"id": "c", "ruleType": "customer_total_cap", "config": {"maxPerDay": 2}, "scope": "global"}],
        [{"id": "c", "ruleType": "mutual_exclusion", "config": {"offerGroup": ["loan", "save"]}, "scope": "global"}],
    ],
    ids=["no policy", "total cap", "mutual exclusion"],
)
@pytest.mark.parametrize("model_type", ["thompson_bandit", "epsilon_greedy"])
def test_propensities_are_those_of_the_draw_whatever_is_taken_out_because_of_it(
    model_type: str, policies: list[dict[str, Any]]
):
    config = {"epsilon": 0.4} if model_type == "epsilon_greedy" else {}
    ready = bank_with(model_type, config=config, contact_policy=policies)
    weighing = Weighing()
    for seed in range(600):
        weighing.note("", decided(ready, tenant=tenant_with(FOUR), key="f", seed=seed, limit=3))
    deviations = weighing.list_deviations()
    assert len(deviations) >= 5
    assert max(map(abs, deviations)) < 4


def test_every_rank_has_its_own_propensity():
    items = decided(bank_with("epsilon_greedy", config={"epsilon": 0.2}), tenant=tenant_with(FOUR), key="f").items
    best = {item.rank: item.propensity for item in items}
    assert best == {1: pytest.approx(0.85), 2: pytest.approx(0.8 + 0.2 / 3), 3: pytest.approx(0.9), 4: 1.0}
    assert {item.propensity_kind for item in items} == {"exact"}


def test_a_share_below_that_of_any_sample_is_logged_as_it_is():
    offers = [{"id": f"o{number:02}", "priority": 50} for number in range(76)]
    creatives = [{"id": f"{one['id']}-web", "offerId": one["id"], "channelId": "web"} for one in offers]
    ready = bank_with("epsilon_greedy", config={"epsilon": 0.1}, offer=offers, creative=creatives)
    weights = [1 / decided(ready, key="f", seed=seed, limit=1).items[0].propensity for seed in range(400)]
    assert set(np.round(weights, 6)) == {800.0, round(1 / (0.9 + 0.1 / 80), 6)}


def test_the_floor_counts_the_expected_propensity_and_not_the_draw():
    nodes = [{"type": "score", "config": {"method": "propensity", "modelKey": "m", "floor": 0.24}}]
    ready = bank_with("thompson_bandit", decision_flow=[flow(*nodes)])
    for seed in range(20):
        decision = decided(ready, tenant=tenant_with(FOUR), key="f", seed=seed)
        assert {item.offer_id for item in decision.items} == {"loan", "save"}


def test_an_offer_that_both_arms_show_for_certain_is_certain():
    models = [{"id": f"m{number}", "key": f"m{number}", "modelType": "scorecard"} for number in (1, 2)]
    split = {"champion": {"modelKey": "m1", "weight": 80}, "challengers": [{"modelKey": "m2", "weight": 20}]}
    nodes = [{"type": "score", "config": {"method": "propensity", "championChallenger": split}}]
    ready = bank(model=models, decision_flow=[flow(*nodes)])
    for customer in ("ann", "bob", "cy", "dora", "emil"):
        assert {item.propensity for item in decided(ready, key="f", customer_id=customer).items} == {1.0}


def test_a_creative_has_the_share_of_its_weight():
    creatives = [{"id": "loan-b", "offerId": "loan", "channelId": "web", "weight": 25}]
    shares: set[float] = set()
    for customer in range(40):
        items = decided(bank(creative=creatives), customer_id=f"c{customer}").items
        shares.update(round(item.propensity, 6) for item in items if item.offer_id == "loan")
    assert shares == {0.8, 0.2}


def test_mandatory_offers_are_certain_and_first():
    offers = [{"id": "fund", "categoryId": "deposits", "priority": 40, "mandatory": True}]
    ready = bank_with("thompson_bandit", offer=offers)
    for seed in range(20):
        first, *others = decided(ready, tenant=tenant_with(FOUR), key="f", seed=seed).items
        assert (first.offer_id, first.propensity, first.propensity_kind) == ("fund", 1.0, "exact")
        assert others[0].propensity < 1


def test_content_that_cannot_be_rendered_is_asked_before_the_draw():
    creatives = [{"id": "loan-web", "offerId": "loan", "channelId": "web", "content": {"text": "{missing}"}}]
    ready = bank_with("epsilon_greedy", config={"epsilon": 0.3}, creative=creatives)
    for seed in range(20):
        decision = decided(ready, tenant=tenant_with(FOUR), key="f", seed=seed, limit=1)
        assert decision.items[0].propensity in (pytest.approx(0.8), pytest.approx(0.1))
        assert any(one.stage == "render" for one in decision.trace.removals)


def test_exploring_flows_fill_one_placement_after_the_other():
    nodes = [
        {"type": "score", "config": {"method": "propensity", "modelKey": "m"}},
        {"type": "group", "config": {"method": "optimal"}},
    ]
    ready = bank_with("epsilon_greedy", config={"epsilon": 0.5}, decision_flow=[flow(*nodes)])
    places = [PlacementRequest(placement_id="p-hero"), PlacementRequest(placement_id="p-side")]
    weighing = Weighing()
    for seed in range(400):
        decision = decided(ready, tenant=tenant_with(FOUR), key="f", seed=seed, placements=places)
        assert any("a model explores" in problem for problem in decision.trace.problems)
        assert len({item.offer_id for item in decision.items}) == 2
        weighing.note("", decision)
    assert max(map(abs, weighing.list_deviations())) < 4


@pytest.mark.parametrize("method", ["top_score", "diversity", "round_robin"])
@pytest.mark.parametrize("fitting", ["fit", "optimize", "plug-in"])
def test_scores_are_drawn_as_the_method_combines_them(method: str, fitting: str):
    evidence = {"a": (3, 7), "b": (2, 8), "c": (1, 9), "d": (0, 0)}
    shown: Counter[str] = Counter()
    chances: defaultdict[str, list[float]] = defaultdict(list)
    for seed in range(1_200):
        run = run_of(*evidence, ready=BANDITS, tenant=tenant_with(evidence), seed=seed)
        run.candidates[0].fit = 0.6
        score(run, method="propensity", modelKey="thompson")
        if fitting == "optimize":
            optimize(run, weights={"propensity": 0.9, "emphasis": 0.1})
        elif fitting == "plug-in":
            run.candidates[1].score = (run.candidates[1].score or 0.0) * 1.5
        run.ranking = msgspec.structs.replace(run.ranking, method=method)
        draw = SlateDraw.begin(run)
        pick = draw.pick(range(4))
        shown[draw.pool.candidates[pick.row].offer.id] += 1
        chances[draw.pool.candidates[pick.row].offer.id].append(pick.propensity.value)
    for one in evidence:
        assert shown[one] / 1_200 == pytest.approx(float(np.mean(chances[one])), abs=0.06)


@pytest.mark.parametrize("counts", [(1.0, 1.0), (0.3, 2.0), (1.0, 5_000.0), (40_000.0, 9.0), (0.2, 0.4)])
def test_the_quantiles_of_a_posterior_are_those_of_scipy(counts: tuple[float, float]):
    found, expected = _list_quantiles(BetaPosterior(*counts)), stats.beta(*counts).ppf((np.arange(DRAWS) + 0.5) / DRAWS)
    assert found == pytest.approx(expected, rel=2e-3, abs=1e-6)


@given(st.integers(0, 2**32), st.integers(1, 6), st.sampled_from(["thompson", "greedy"]))
def test_a_slate_has_each_candidate_once_and_probabilities_between_0_and_1(seed: int, offers: int, key: str):
    run = run_of(*(f"o{number}" for number in range(offers)), ready=BANDITS, seed=seed)
    score(run, method="propensity", modelKey=key)
    draw, left = SlateDraw.begin(run), list(range(offers))
    while left:
        pick = draw.pick(left)
        assert 0 < pick.propensity.value <= 1
        assert len(left) > 1 or pick.propensity.value == 1
        left.remove(pick.row)
