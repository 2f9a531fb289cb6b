"""``GET /experiments/{id}/results`` and ``GET /creative-results``: from decisions and responses to numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from api.experiments.examples import CREATIVES, RESULTS
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.strategy import Challenger, DecisionFlow, Experiment, Model, Node, TrafficSplit
from rapport.domain.experiments.assignment import assign, pick_creative
from rapport.domain.experiments.evaluation import compare_groups
from rapport.domain.experiments.results import CreativeResults, ExperimentResults, Uplift
from rapport.domain.experiments.statistics import Sample
from tests.api.decision_catalogue import offer, offers_of, recommend, stock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.fixtures.api import Caller, CallerFactory

EXPERIMENT: Final = {
    "id": "exp1",
    "key": "spring",
    "name": "Spring",
    "championModelId": "old",
    "trafficSplit": {"championPct": 80},
    "challengers": [{"modelId": "neu", "trafficPct": 20}],
    "holdoutPercent": 10,
    "minSamples": 2,
}
DAY: Final = "2026-03-15T"


def decided(customer: str, variant: str, time: str = "10:00", *items: tuple[str, str]) -> Sequence[Mapping[str, Any]]:
    """A recommendation in an arm of the experiment as Recommend writes it: the decision, and a row for each item."""
    recommendation = {"customerId": customer, "recommendationId": f"{customer}-{time}", "timestamp": f"{DAY}{time}:00Z"}
    arm = {"experimentId": "exp1", "experimentKey": "spring", "variant": variant}
    return [
        {**recommendation, "type": "decision.made.v1", "decision": {"form": 1, "decision": {"experiments": [arm]}}},
        *(
            {**recommendation, "outcome": "recommendation", "rank": rank, "offerId": offer, "creativeId": creative}
            for rank, (offer, creative) in enumerate(items, 1)
        ),
    ]


def converted(customer: str, time: str = "11:00", offer: str | None = None) -> Mapping[str, Any]:
    return {"customerId": customer, "outcome": "convert", "timestamp": f"{DAY}{time}:00Z", "offerId": offer}


@pytest.fixture
def observed(caller: Caller) -> Caller:
    """A tenant with an experiment: four customers with the champion, three with the challenger, two in the holdout."""
    caller.add_entities(experiment=("exp1", "paused", EXPERIMENT))
    for number, variant in enumerate(["__champion__"] * 4 + ["neu"] * 3 + ["__holdout__"] * 2):
        offered = ("loan", "banner" if number % 2 else "video")
        caller.record(*decided(f"c{number}", variant, "10:00", offered))
    for customer in ("c0", "c4", "c5", "c7"):
        caller.record(converted(customer, offer="loan"))
    caller.record(converted("c1", "09:59", "loan"))
    caller.record(converted("c2", "10:30", "card"))
    return caller


def results(caller: Caller, **parameters: Any) -> Any:
    return caller.read("/experiments/exp1/results", params=parameters, role=Role.VIEWER)


def counts(answer: Any) -> dict[str, tuple[int, int]]:
    return {one["variant"]: (one["conversions"], one["samples"]) for one in answer["variants"]}


def test_results_compare_who_converted_after_the_first_recommendation(observed: Caller):
    answer = results(observed)
    assert counts(answer) == {"__champion__": (2, 4), "neu": (2, 3), "__holdout__": (1, 2)}
    expected = compare_groups(Sample(4, 7), Sample(1, 2), treatment_variants=["__champion__", "neu"], min_samples=2)
    assert msgspec.convert(answer["uplift"], Uplift) == expected
    (challenger,) = answer["challengers"]
    assert (challenger["treatment"], challenger["holdout"]) == (["neu"], "__champion__")
    assert challenger["uplift"] == pytest.approx(2 / 3 - 2 / 4)
    assert answer["sampleRatio"]["mismatch"] is False
    assert answer["creatives"] is None
    by_key = observed.read("/experiments/spring/results")
    assert by_key == answer


def test_conversions_can_be_limited_to_an_offer_or_to_what_was_recommended(observed: Caller):
    offered = {"__champion__": (1, 4), "neu": (2, 3), "__holdout__": (1, 2)}
    assert counts(results(observed, conversions="offered")) == offered
    answer = results(observed, offerId="loan")
    assert counts(answer) == offered
    creatives = {one["creativeId"]: (one["conversions"], one["samples"]) for one in answer["creatives"]["creatives"]}
    assert creatives == {"video": (2, 5), "banner": (2, 4)}


def test_a_range_of_time_bounds_recommendations_and_conversions(observed: Caller):
    observed.record(*decided("c0", "neu", "12:00"), converted("c0", "13:00"))
    assert counts(results(observed, **{"from": f"{DAY}12:00:00Z"}))["neu"] == (1, 1)
    assert counts(results(observed, to=f"{DAY}11:00:00Z"))["neu"] == (0, 3)
    whole = results(observed)
    assert counts(whole)["__champion__"] == (2, 4)
    assert whole["switched"] == 1


def test_the_creatives_of_an_offer_are_compared_over_all_recommendations(observed: Caller):
    observed.record(
        {
            "customerId": "x",
            "outcome": "recommendation",
            "recommendationId": "r",
            "rank": 1,
            "timestamp": f"{DAY}10:00Z",
        }
        | {"offerId": "loan", "creativeId": "video"},
        converted("x", offer="loan"),
    )
    answer = observed.read("/creative-results", params={"offerId": "loan"}, role=Role.VIEWER)
    found = {one["creativeId"]: (one["conversions"], one["samples"]) for one in answer["creatives"]}
    assert found == {"banner": (2, 4), "video": (3, 6)}
    assert answer["baseline"] == "banner"
    assert [one["treatment"] for one in answer["comparisons"]] == [["video"]]


def tallied(groups: Mapping[str, str], converters: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Conversions and customers per group."""
    return {
        group: (sum(groups[one] == group for one in converters), list(groups.values()).count(group))
        for group in groups.values()
    }


def stock_experiment(caller: Caller) -> Experiment:
    """Have a tenant try two models, with a holdout, for an offer with two creatives."""
    experiment = Experiment(
        id="exp1",
        name="exp1",
        key="spring",
        champion_model_id="old",
        traffic_split=TrafficSplit(champion_pct=50),
        challengers=[Challenger(model_id="neu", traffic_pct=50)],
        holdout_percent=20,
    )
    scoring = {"method": "propensity", "championChallenger": {"experimentId": "exp1"}}
    steps = {"inventory": {}, "match_creatives": {}, "score": scoring, "rank": {}, "response": {}}
    nodes = [Node(id=kind, type=kind, config=config) for kind, config in steps.items()]
    (loan, banner), (_, video) = (offer("loan", creative={"weight": weight}) for weight in (60, 40))
    video = msgspec.structs.replace(video, id="loan-video")
    models = [Model(id=one, name=one, key=one, model_type="scorecard", config={"rules": []}) for one in ("old", "neu")]
    flow = DecisionFlow(id="f1", name="f1", key="f1", published=nodes, published_version=1, is_default=True)
    stock(caller, loan, banner, video, *models, experiment, flow)
    return experiment


def test_recommendations_and_responses_count_in_the_assigned_arms(caller: Caller):
    experiment = stock_experiment(caller)
    customers = [f"c{number}" for number in range(24)]
    converters = customers[::3]
    for customer in customers:
        body = recommend(caller, customer)
        assert offers_of(body) == ["loan"]
        if customer in converters:
            told = {"customerId": customer, "recommendationId": body["recommendationId"], "rank": 1}
            done = caller.post("/respond", {**told, "outcome": "convert", "idempotencyKey": customer})
            assert done.status_code == 201, done.text

    answer = results(caller, offerId="loan", conversions="offered")
    arms = {customer: assign(experiment, customer).variant for customer in customers}
    assert set(arms.values()) == {"__champion__", "neu", "__holdout__"}
    assert counts(answer) == tallied(arms, converters)
    weights = [("loan-web", 60.0), ("loan-video", 40.0)]
    chosen = {one: choice.creative_id for one in customers if (choice := pick_creative("loan", weights, one))}
    creatives = {one["creativeId"]: (one["conversions"], one["samples"]) for one in answer["creatives"]["creatives"]}
    assert creatives == tallied(chosen, converters)


def test_an_experiment_without_recommendations_has_results_without_numbers(caller: Caller):
    caller.add_entities(experiment=("exp1", "active", EXPERIMENT))
    answer = results(caller)
    assert counts(answer) == {"__champion__": (0, 0), "neu": (0, 0), "__holdout__": (0, 0)}
    assert answer["uplift"]["uplift"] is None
    assert answer["uplift"]["insufficientData"] is True


def test_an_experiment_nobody_knows_is_not_found_nor_is_another_tenants(caller: Caller, new_caller: CallerFactory):
    caller.add_entities(experiment=("exp1", "active", EXPERIMENT))
    assert caller.get("/experiments/exp2/results").status_code == 404
    assert new_caller().get("/experiments/exp1/results").status_code == 404


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": f"{DAY}10:00Z", "to": f"{DAY}10:00Z"}, "to"),
        ({"minSamples": 0}, "minSamples"),
        ({"alpha": 0}, "alpha"),
        ({"alpha": "nan"}, "alpha"),
        ({"conversions": "all"}, "conversions"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(caller: Caller, parameters: Mapping[str, Any], field: str):
    answer = caller.get("/experiments/exp1/results", params=parameters)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["details"]] == [field]


def test_creatives_need_an_offer(caller: Caller):
    answer = caller.get("/creative-results")
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["details"]] == ["offerId"]


def test_the_examples_of_the_documentation_are_results():
    assert msgspec.convert(RESULTS, ExperimentResults).uplift is not None
    assert len(msgspec.convert(CREATIVES, CreativeResults).comparisons) == 1


def test_a_visitor_identified_before_buying_converts_in_the_first_arm(caller: Caller):
    """vanity#140, growthbook#1043: merged later, and dated by the day alone."""
    experiment = stock_experiment(caller)
    people = range(8)
    shown = {n: recommend(caller, f"web-{n}") for n in people}
    for n in people:
        merged = {"action": "merge", "sourceId": f"web-{n}", "targetId": f"ann-{n}"}
        assert caller.post("/identity", merged).status_code == 200
    by_person = {n: [recommend(caller, f"{name}-{n}") for name in ("web", "ann")] for n in people}
    for n, bodies in by_person.items():
        assert [one["experiments"][0]["variant"] for one in bodies] == [assign(experiment, f"ann-{n}").variant] * 2
        assert len({item["creative"]["id"] for one in bodies for item in one["decisions"]}) == 1
    for n in people:
        told = {
            "customerId": f"ann-{n}",
            "recommendationId": shown[n]["recommendationId"],
            "rank": 1,
            "offerId": "loan",
        }
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        done = caller.post(
            "/interactions", [{**told, "outcome": "convert", "idempotencyKey": f"order-{n}", "timestamp": day}]
        )
        assert done.status_code == 201, done.text
    arms = {n: assign(experiment, f"web-{n}").variant for n in people}
    expected = tallied(arms, list(people))
    for parameters in ({}, {"conversions": "offered"}):
        assert {arm: one for arm, one in counts(results(caller, **parameters)).items() if one[1]} == expected

    for name in ("web", "ann"):
        assert recommend(caller, f"{name}-0")["meta"]["notShown"][0]["by"] == "default-convert"
    switched = sum(assign(experiment, f"ann-{n}").variant != arms[n] for n in people)
    whole = results(caller)
    assert {arm: one for arm, one in counts(whole).items() if one[1]} == expected
    assert whole["switched"] == switched
    report = caller.read("/interaction-summary?groupBy=customer&days=2")["summary"]
    assert sorted(row["id"] for row in report) == [f"ann-{n}" for n in people]
