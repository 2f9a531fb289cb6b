from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rapport.domain.catalogue.strategy import Challenger, Experiment, TrafficSplit
from rapport.domain.experiments.assignment import (
    CHAMPION,
    HOLDOUT,
    assign,
    compute_point,
    compute_shares,
    hash_fnv1a,
    is_held_out,
    pick_creative,
)

CUSTOMERS = [f"cust-{number}" for number in range(20_000)]
UNLIKELY = 1e-4
"""A fixed set of customers gives a fixed p-value, so these tests never fail by chance; it is what they must exceed."""


def experiment(*challengers: float, holdout: float = 0, key: str = "exp") -> Experiment:
    """Make an experiment whose challengers a, b, c … have these percentages, and the champion the rest."""
    return Experiment(
        id="e1",
        name="e1",
        key=key,
        champion_model_id="champion-model",
        traffic_split=TrafficSplit(champion_pct=100 - sum(challengers)),
        challengers=[
            Challenger(model_id=name, traffic_pct=pct) for name, pct in zip("abcdef", challengers, strict=False)
        ],
        holdout_percent=holdout,
    )


def variants(which: Experiment) -> dict[str, str]:
    return {customer: assign(which, customer).variant for customer in CUSTOMERS}


@pytest.mark.parametrize(
    ("text", "value"), [("", 0xCBF29CE484222325), ("a", 0xAF63DC4C8601EC8C), ("foobar", 0x85944171F73967E8)]
)
def test_the_hash_is_fnv_1a_as_its_authors_publish_it(text: str, value: int):
    assert hash_fnv1a(text) == value


def test_points_of_known_customers_stay_the_same_in_every_release():
    assert [compute_point(text) for text in ("exp:cust-1", "#holdout:exp:cust-1", "exp:\u00e9\u4e2d")] == PINNED


PINNED = [0.1805472562331838, 0.21168789008969546, 0.05981779787162045]


@pytest.mark.parametrize("prefix", ["exp:cust-", "exp:", "#holdout:exp:2024-", "#tenant:acme:user_0000"])
def test_points_are_uniform_also_for_customers_numbered_in_sequence(prefix: str):
    points = [compute_point(f"{prefix}{number}") for number in range(20_000)]
    assert stats.kstest(points, "uniform").pvalue > UNLIKELY
    assert stats.chisquare(list(Counter(int(point * 100) for point in points).values())).pvalue > UNLIKELY


@pytest.mark.parametrize("holdout", [0, 10, 50])
def test_every_variant_gets_its_share(holdout: float):
    which = experiment(20, 15, 5, holdout=holdout)
    shares, found = compute_shares(which), Counter(variants(which).values())
    assert sum(shares.values()) == pytest.approx(1)
    assert set(found) == set(shares)
    expected = [share * len(CUSTOMERS) for share in shares.values()]
    assert stats.chisquare([found[variant] for variant in shares], expected).pvalue > UNLIKELY


@given(st.lists(st.integers(0, 25), max_size=4), st.integers(0, 100), st.text(max_size=20))
def test_an_assignment_names_the_model_that_scores_that_has_a_share(pcts: list[int], holdout: int, customer: str):
    which = experiment(*pcts, holdout=holdout)
    found = assign(which, customer)
    assert found == assign(which, customer)
    assert compute_shares(which)[found.variant] > 0
    assert found.is_held_out == (found.variant == HOLDOUT)
    expected = {HOLDOUT: None, CHAMPION: "champion-model"}.get(found.variant, found.variant)
    assert found.model_id == expected


@pytest.mark.parametrize("holdout", [0, 100])
def test_a_share_of_0_gets_no_customer_and_a_share_of_100_all(holdout: float):
    assert set(variants(experiment(100, holdout=holdout)).values()) == {HOLDOUT if holdout else "a"}


def moves(before: Experiment, after: Experiment) -> set[tuple[str, str]]:
    old, new = variants(before), variants(after)
    return {(old[customer], new[customer]) for customer in CUSTOMERS if old[customer] != new[customer]}


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [
        ((10,), (20,), "a"),
        ((10, 10), (30, 10), "a"),
        ((10, 10), (10, 30), "b"),
        ((10, 10, 10), (10, 30, 10), "b"),
        ((10, 10, 10), (10, 10, 30), "c"),
        ((10, 10), (10, 10, 10), "c"),
        ((10, 10, 10), (10, 10, 10, 10), "d"),
    ],
)
def test_customers_only_move_from_the_champion_into_a_challenger_that_grows(
    before: tuple[float, ...], after: tuple[float, ...], grown: str
):
    assert moves(experiment(*before), experiment(*after)) == {(CHAMPION, grown)}


def test_customers_only_move_into_a_holdout_that_grows():
    sizes = [0, 1, 5, 20, 60]
    for smaller, larger in pairwise(sizes):
        found = moves(experiment(20, 20, holdout=smaller), experiment(20, 20, holdout=larger))
        assert {after for _, after in found} == {HOLDOUT}
        assert {before for before, _ in found} == {CHAMPION, "a", "b"}


def test_the_tenants_holdout_has_its_share_and_only_grows_with_it():
    held_out = [{one for one in CUSTOMERS if is_held_out("acme", one, percent)} for percent in (0, 5, 20, 100)]
    assert [len(some) for some in held_out] == [0, pytest.approx(1_000, abs=130), pytest.approx(4_000, abs=240), 20_000]
    assert all(smaller <= larger for smaller, larger in pairwise(held_out))


def independence(left: dict[str, object], right: dict[str, object]) -> float:
    counts = Counter((left[customer], right[customer]) for customer in CUSTOMERS)
    rows, columns = sorted({key[0] for key in counts}, key=str), sorted({key[1] for key in counts}, key=str)
    return float(stats.chi2_contingency([[counts[row, column] for column in columns] for row in rows]).pvalue)


SALTS = ["exp:", "#holdout:exp:", "#tenant:acme:", "#creative:o1:c1:", "exq:", "#holdout:exq:"]


@pytest.mark.parametrize("left", SALTS)
@pytest.mark.parametrize("right", SALTS)
def test_assignments_under_different_salts_are_independent(left: str, right: str):
    if left >= right:
        return
    mine, its = (
        {customer: int(compute_point(salt + customer) * 10) for customer in CUSTOMERS} for salt in (left, right)
    )
    assert independence(mine, its) > UNLIKELY


def test_plain_fnv_1a_makes_salts_dependent():
    bits = {(hash_fnv1a("exp:" + customer) ^ hash_fnv1a("#holdout:exp:" + customer)) & 1 for customer in CUSTOMERS}
    assert len(bits) == 1  # why the module mixes: the last bits of all customers agree, or differ


def test_two_experiments_and_the_creatives_of_two_offers_are_independent():
    first, second = variants(experiment(50)), variants(experiment(50, key="exq"))
    assert independence(first, second) > UNLIKELY
    creatives = [("c1", 1.0), ("c2", 1.0)]
    chosen = [{one: pick_creative(offer, creatives, one) for one in CUSTOMERS} for offer in ("o1", "o2")]
    assert independence(chosen[0], chosen[1]) > UNLIKELY
    assert independence(chosen[0], first) > UNLIKELY


def test_creatives_get_customers_in_proportion_to_their_weights():
    weighted = [("c1", 60.0), ("c2", 30.0), ("c3", 10.0), ("off", 0.0)]
    chosen = [pick_creative("o1", weighted, customer) for customer in CUSTOMERS]
    found = Counter(choice.creative_id for choice in chosen if choice)
    expected = [12_000, 6_000, 2_000]
    assert stats.chisquare([found["c1"], found["c2"], found["c3"]], expected).pvalue > UNLIKELY
    assert {choice.creative_id: choice.share for choice in chosen if choice} == {"c1": 0.6, "c2": 0.3, "c3": 0.1}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"c1": 10, "c2": 10, "c3": 10}, {"c1": 10, "c2": 40, "c3": 10}),
        ({"c1": 10, "c3": 10}, {"c1": 10, "c2": 10, "c3": 10}),
    ],
)
def test_customers_only_move_into_a_creative_that_is_added_or_weighs_more(
    before: dict[str, float], after: dict[str, float]
):
    old, new = (
        {one: pick_creative("o1", weights.items(), one).creative_id for one in CUSTOMERS[:5_000]}  # type: ignore[union-attr]
        for weights in (before, after)
    )
    moved = {(old[one], new[one]) for one in old if old[one] != new[one]}
    assert moved == {("c1", "c2"), ("c3", "c2")}


@given(st.permutations([("c1", 5.0), ("c2", 7.0), ("c3", 0.0), ("c4", 1.0)]), st.text(max_size=10))
def test_the_order_of_creatives_and_a_common_factor_change_nothing(weighted: list[tuple[str, float]], customer: str):
    plain = pick_creative("o", sorted(weighted), customer)
    scaled = pick_creative("o", [(one, weight * 8) for one, weight in weighted], customer)
    assert plain is not None
    assert plain == scaled


def test_creatives_without_weight_are_never_shown():
    assert pick_creative("o1", [], "c") is None
    assert pick_creative("o1", [("c1", 0.0)], "c") is None
    assert pick_creative("o1", [("c1", 0.0), ("c2", 3.0)], "c") == ("c2", 1.0)
