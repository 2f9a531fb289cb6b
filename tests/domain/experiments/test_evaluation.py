from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.domain.catalogue.inventory import Creative
from rapport.domain.catalogue.strategy import Challenger, Experiment, TrafficSplit
from rapport.domain.experiments.assignment import CHAMPION, HOLDOUT
from rapport.domain.experiments.evaluation import compare_groups, evaluate, evaluate_creatives
from rapport.domain.experiments.results import Uplift
from rapport.domain.experiments.sequential import compute_sequential_interval, compute_sequential_p_value
from rapport.domain.experiments.statistics import Sample, compute_newcombe_interval, compute_wilson_interval, run_z_test

TREATED, HELD_OUT = Sample(130, 1_000), Sample(80, 900)


def experiment(**fields: Any) -> Experiment:
    given_fields: dict[str, Any] = {
        "traffic_split": TrafficSplit(champion_pct=80),
        "challengers": [Challenger(model_id="neu", traffic_pct=20)],
        "holdout_percent": 10,
        **fields,
    }
    return Experiment(id="e1", name="e1", key="exp", champion_model_id="old", **given_fields)


def creative(creative_id: str, weight: float, variant: str | None = None) -> Creative:
    return Creative(
        id=creative_id, name=creative_id, offer_id="o1", channel_id="web", weight=weight, ab_test_variant=variant
    )


def test_a_comparison_of_two_groups_has_every_measure():
    found = compare_groups(TREATED, HELD_OUT, treatment_variants=["a"])
    test, interval = run_z_test(TREATED, HELD_OUT), compute_newcombe_interval(TREATED, HELD_OUT)
    watched = compute_sequential_interval(TREATED, HELD_OUT)
    assert test is not None
    assert found.uplift == pytest.approx(0.13 - 80 / 900)
    assert found.relative_uplift == pytest.approx((0.13 - 80 / 900) / (80 / 900))
    assert (found.z_score, found.p_value) == test
    assert (found.ci_lower, found.ci_upper) == interval
    assert (found.treatment_ci_lower, found.treatment_ci_upper) == compute_wilson_interval(TREATED)
    assert (found.holdout_ci_lower, found.holdout_ci_upper) == compute_wilson_interval(HELD_OUT)
    assert (found.sequential_lower, found.sequential_upper) == watched
    assert found.sequential_p_value == compute_sequential_p_value(TREATED, HELD_OUT)
    assert (found.significant, found.sequentially_significant) == (True, False)


@pytest.mark.parametrize(("min_samples", "insufficient"), [(900, False), (901, True)])
def test_nothing_is_significant_before_both_groups_are_large_enough(min_samples: int, insufficient: bool):  # noqa: FBT001
    found = compare_groups(Sample(500, 1_000), Sample(80, 900), min_samples=min_samples)
    assert found.insufficient_data == insufficient
    assert found.significant == found.sequentially_significant == (not insufficient)


@pytest.mark.parametrize(
    ("treatment", "holdout", "missing"),
    [
        (Sample(3, 10), Sample(0, 10), {"relative_uplift"}),
        (
            Sample(0, 0),
            Sample(1, 10),
            {"treatment_conversion_rate", "uplift", "relative_uplift", "z_score", "p_value", "sequential_p_value"},
        ),
    ],
)
def test_measures_that_cannot_be_computed_are_null(treatment: Sample, holdout: Sample, missing: set[str]):
    found = compare_groups(treatment, holdout)
    assert {name for name in Uplift.__struct_fields__ if getattr(found, name) is None} == missing


def test_treatment_is_compared_with_the_holdout_and_challengers_with_the_champion():
    samples = {CHAMPION: Sample(70, 720), "neu": Sample(30, 180), HOLDOUT: Sample(5, 100), "gone": Sample(1, 4)}
    found = evaluate(experiment(), samples, min_samples=10)
    assert [(one.variant, one.samples, one.conversions) for one in found.variants] == [
        (CHAMPION, 720, 70),
        ("neu", 180, 30),
        (HOLDOUT, 100, 5),
        ("gone", 4, 1),
    ]
    assert [one.expected_share for one in found.variants] == pytest.approx([0.72, 0.18, 0.1, None])
    assert found.uplift == compare_groups(
        Sample(101, 904), Sample(5, 100), treatment_variants=[CHAMPION, "neu", "gone"], min_samples=10
    )
    assert [one.treatment for one in found.challengers] == [["neu"], ["gone"]]
    assert found.challengers[0] == compare_groups(
        Sample(30, 180), Sample(70, 720), treatment_variants=["neu"], holdout_variant=CHAMPION, min_samples=10
    )
    assert not found.sample_ratio.mismatch


def test_without_a_holdout_there_is_no_uplift_and_min_samples_applies():
    found = evaluate(experiment(holdout_percent=0, min_samples=7), {})
    assert found.uplift is None
    assert [one.min_samples for one in found.challengers] == [7]
    assert found.sample_ratio.p_value is None


@pytest.mark.parametrize(
    ("counts", "mismatch"), [((720, 180, 100), False), ((770, 130, 100), True), ((720, 180, 10), True)]
)
def test_a_split_that_differs_from_the_shares_is_a_mismatch(counts: tuple[int, int, int], mismatch: bool):  # noqa: FBT001
    samples = {variant: Sample(0, count) for variant, count in zip((CHAMPION, "neu", HOLDOUT), counts, strict=True)}
    assert evaluate(experiment(), samples).sample_ratio.mismatch == mismatch


def test_customers_in_a_variant_without_a_share_are_a_finite_mismatch():
    emptied = experiment(
        traffic_split=TrafficSplit(champion_pct=100), challengers=[Challenger(model_id="neu", traffic_pct=0)]
    )
    ratio = evaluate(emptied, {CHAMPION: Sample(0, 90), "neu": Sample(0, 1), HOLDOUT: Sample(0, 10)}).sample_ratio
    assert (ratio.chi_square, ratio.p_value, ratio.mismatch) == (None, 0.0, True)


def test_creatives_are_compared_with_the_one_of_the_largest_weight():
    creatives = [creative("c1", 20, "B"), creative("c2", 70, "A"), creative("c3", 10), creative("c4", 100)]
    samples = {"c1": Sample(9, 100), "c2": Sample(30, 400), "c3": Sample(0, 50), "gone": Sample(2, 60)}
    found = evaluate_creatives("o1", creatives, samples)
    assert found.baseline == "c2"
    assert [(one.creative_id, one.variant, one.weight, one.samples) for one in found.creatives] == [
        ("c1", "B", 20, 100),
        ("c2", "A", 70, 400),
        ("c3", None, 10, 50),
        ("c4", None, 100, 0),
        ("gone", None, None, 60),
    ]
    assert [one.treatment for one in found.comparisons] == [["c1"], ["c3"], ["gone"]]
    assert found.comparisons[0] == compare_groups(
        Sample(9, 100), Sample(30, 400), treatment_variants=["c1"], holdout_variant="c2"
    )
    assert evaluate_creatives("o1", creatives, {}).baseline is None


@pytest.mark.parametrize("sample", [Sample(2, 1), Sample(-1, 1)])
def test_impossible_counts_are_refused(sample: Sample):
    with pytest.raises(ValueError, match="cannot have converted"):
        evaluate(experiment(), {CHAMPION: sample})
    with pytest.raises(ValueError, match="cannot have converted"):
        evaluate_creatives("o1", [], {"c1": sample})


counts = st.integers(0, 10**7).flatmap(lambda n: st.builds(Sample, st.integers(0, n), st.just(n)))


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from([CHAMPION, "neu", HOLDOUT, "gone"]), counts))
def test_results_hold_no_infinities_and_no_nans(samples: dict[str, Sample]):
    json.dumps(msgspec.to_builtins(evaluate(experiment(), samples)), allow_nan=False)
