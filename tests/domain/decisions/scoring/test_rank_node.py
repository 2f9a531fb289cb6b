from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.catalogue.inventory import Offer
from rapport.domain.decisions.scoring.creative_choice import choose_creatives
from tests.domain.decisions.scoring.scoring_runs import candidate, offer, rank, run_of, with_scores

METHODS = ["top_score", "diversity", "round_robin"]
CONTEST = [
    (offer("a1", category_id="a"), 0.9),
    (offer("a2", category_id="a"), 0.8),
    (offer("a3", category_id="a"), 0.7),
    (offer("b1", category_id="b"), 0.41),
    (offer("c1", category_id="c"), 0.3),
    (offer("b2", category_id="b"), 0.2),
    (offer("none"), 0.1),
]


@pytest.mark.parametrize(
    ("method", "order"),
    [
        ("top_score", ["a1", "a2", "a3", "b1", "c1"]),
        ("diversity", ["a1", "b1", "a2", "c1", "a3"]),
        ("round_robin", ["a1", "b1", "c1", "none", "a2"]),
    ],
)
def test_each_method_orders_as_documented(method: str, order: list[str]):
    assert rank(with_scores(CONTEST), method) == order


@pytest.mark.parametrize("method", METHODS)
def test_candidates_beyond_the_maximum_are_recorded(method: str):
    run = with_scores(CONTEST)
    kept = rank(run, method, 3)
    removed = {removal.offer_id: removal for removal in run.recorder.finish().removals}
    assert removed.keys() == {one.id for one, _ in CONTEST} - set(kept)
    assert {removal.reason for removal in removed.values()} == {"ranked behind the first 3"}


@pytest.mark.parametrize(
    ("method", "order"),
    [
        ("top_score", ["law2", "law1", "a1", "a2", "b1"]),
        ("diversity", ["law2", "law1", "b1", "a1", "a2"]),
        ("round_robin", ["law2", "law1", "a1", "b1", "a2"]),
    ],
)
def test_mandatory_offers_go_first_until_that_expires(method: str, order: list[str]):
    laws = [
        (offer("law1", category_id="a", mandatory=True), 0.01),
        (offer("law2", category_id="a", mandatory=True, mandatory_expires_at="2026-03-18T12:31:00Z"), 0.02),
        (offer("old", category_id="a", mandatory=True, mandatory_expires_at="2026-03-18T12:30:00Z"), 0.03),
    ]
    contest = [(offer("a1", category_id="a"), 0.9), (offer("a2", category_id="a"), 0.8)]
    assert rank(with_scores([*contest, (offer("b1", category_id="b"), 0.4), *laws]), method) == order


@pytest.mark.parametrize("method", METHODS)
def test_ties_are_broken_by_higher_priority_then_by_smaller_id(method: str):
    offers = [offer("z", priority=60), offer("b"), offer("a"), offer("c")]
    assert rank(with_scores([(one, 0.5) for one in offers]), method) == ["z", "a", "b", "c"]


OFFERS = st.builds(
    lambda number, category, mandatory, priority: offer(
        f"o{number}", category_id=category, mandatory=mandatory, priority=priority
    ),
    st.integers(0, 99),
    st.sampled_from(["a", "b", "c", None]),
    st.booleans(),
    st.integers(0, 3),
)
SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 1.0])


@given(
    st.lists(st.tuples(OFFERS, SCORES), max_size=12, unique_by=lambda one: one[0].id),
    st.sampled_from(METHODS),
    st.integers(1, 12),
    st.randoms(use_true_random=False),
)
def test_a_ranking_ignores_the_input_order_and_has_mandatory_offers_first(
    contest: list[tuple[Offer, float]], method: str, most: int, random: object
):
    ranked = rank(with_scores(contest), method, most)
    assert len(ranked) == len(set(ranked)) == min(most, len(contest))
    by_id = {one.id: (one, value) for one, value in contest}
    flags = [by_id[one][0].mandatory for one in ranked]
    assert flags == sorted(flags, reverse=True)
    assert sum(flags) == min(most, sum(one.mandatory for one, _ in contest))
    others = [by_id[one][1] for one in ranked if not by_id[one][0].mandatory]
    assert not others or others[0] <= max(value for one, value in contest if not one.mandatory)
    random.shuffle(contest)  # type: ignore[attr-defined]
    assert rank(with_scores(contest), method, most) == ranked


def test_one_creative_of_an_offer_stays_by_the_weights_of_its_channel():
    found: dict[str, int] = {}
    for index in range(400):
        run = run_of(
            candidate("loan", creative="x", weight=75),
            candidate("loan", creative="y", weight=25),
            candidate("loan", creative="z", weight=0),
            candidate("card"),
            customer_id=f"c{index}",
        )
        choose_creatives(run)
        loan, card = run.candidates
        assert loan.creative
        found[loan.creative.id] = found.get(loan.creative.id, 0) + 1
        assert loan.share == {"x": 0.75, "y": 0.25}[loan.creative.id]
        assert card.share == 1
        assert {removal.creative_id for removal in run.recorder.finish().removals} == {"x", "y", "z"} - {
            loan.creative.id
        }
    assert set(found) == {"x", "y"}
    assert 260 < found["x"] < 340


def test_between_channels_the_higher_score_decides():
    run = run_of(candidate("loan"), candidate("loan", channel="mail"))
    for one, value in zip(run.candidates, (0.2, 0.4), strict=True):
        one.score = value
    choose_creatives(run)
    assert [one.channel.id for one in run.candidates if one.channel] == ["mail"]
    assert run.candidates[0].share == 1


def test_among_creatives_of_weight_0_the_smallest_id_is_chosen():
    run = run_of(candidate("loan", creative="y", weight=0), candidate("loan", creative="x", weight=0))
    choose_creatives(run)
    assert [one.creative.id for one in run.candidates if one.creative] == ["x"]
