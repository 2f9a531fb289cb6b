"""Evaluation of experiments: counts per variant become results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from rapport.domain.experiments.assignment import CHAMPION, HOLDOUT, compute_shares
from rapport.domain.experiments.results import (
    CreativeResult,
    CreativeResults,
    ExperimentResults,
    SampleRatio,
    Uplift,
    VariantResult,
)
from rapport.domain.experiments.sequential import compute_sequential_interval, compute_sequential_p_value
from rapport.domain.experiments.statistics import (
    ALPHA,
    Sample,
    compute_newcombe_interval,
    compute_wilson_interval,
    run_chi_square_test,
    run_z_test,
)

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Creative
    from rapport.domain.catalogue.strategy import Experiment

MIN_SAMPLES: Final = 50
"""Default of the customers that a group must have before anything is called significant."""
MISMATCH_ALPHA: Final = 0.001
"""Below this p-value the assignment itself is taken to be broken; as usual far stricter than a test of effects."""


def compare_groups(
    treatment: Sample,
    holdout: Sample,
    *,
    treatment_variants: Sequence[str] = (),
    holdout_variant: str = HOLDOUT,
    min_samples: int = MIN_SAMPLES,
    alpha: float = ALPHA,
) -> Uplift:
    """Compare the conversion rates of two groups.

    Args:
        treatment: The group whose effect is measured.
        holdout: The group that it is compared with.
        treatment_variants: Names of the treatment's variants, for the result.
        holdout_variant: Name of the holdout's variant, for the result.
        min_samples: Customers that each group must have before anything is called significant.
        alpha: Accepted probability of a false positive.
    """
    treatment_interval, holdout_interval = (
        compute_wilson_interval(treatment, alpha),
        compute_wilson_interval(holdout, alpha),
    )
    rate, other = treatment.rate, holdout.rate
    difference = None if rate is None or other is None else rate - other
    test = run_z_test(treatment, holdout)
    interval = compute_newcombe_interval(treatment, holdout, alpha)
    sequential = compute_sequential_interval(treatment, holdout, alpha)
    anytime_p_value = compute_sequential_p_value(treatment, holdout)
    is_insufficient = min(treatment.customers, holdout.customers) < max(1, min_samples)
    return Uplift(
        treatment=treatment_variants,
        holdout=holdout_variant,
        treatment_samples=treatment.customers,
        holdout_samples=holdout.customers,
        treatment_conversion_rate=rate,
        holdout_conversion_rate=other,
        treatment_ci_lower=treatment_interval.lower,
        treatment_ci_upper=treatment_interval.upper,
        holdout_ci_lower=holdout_interval.lower,
        holdout_ci_upper=holdout_interval.upper,
        uplift=difference,
        relative_uplift=difference / other if difference is not None and other else None,
        z_score=test.statistic if test else None,
        p_value=test.p_value if test else None,
        significant=test is not None and not is_insufficient and test.p_value < alpha,
        ci_lower=interval.lower,
        ci_upper=interval.upper,
        sequential_lower=sequential.lower,
        sequential_upper=sequential.upper,
        sequential_p_value=anytime_p_value,
        sequentially_significant=anytime_p_value is not None and not is_insufficient and anytime_p_value < alpha,
        insufficient_data=is_insufficient,
        min_samples=min_samples,
        alpha=alpha,
    )


def evaluate(
    experiment: Experiment, samples: Mapping[str, Sample], *, min_samples: int | None = None, alpha: float = ALPHA
) -> ExperimentResults:
    """Evaluate an experiment.

    Args:
        experiment: As configured while the samples are taken; after a change of shares count from the change.
        samples: Customers and conversions by variant. Variants that the experiment does not have (any more) are shown,
            and belong to the treatment.
        min_samples: Overrides the experiment's.
        alpha: Accepted probability of a false positive.

    Raises:
        ValueError: More customers have converted than there are, or a count is below zero.
    """
    _check_samples(samples)
    shares = compute_shares(experiment)
    known = {variant: samples.get(variant, Sample(0, 0)) for variant in shares}
    everyone = known | {variant: samples[variant] for variant in sorted(samples) if variant not in shares}
    treated = [variant for variant in everyone if variant != HOLDOUT]
    against = partial(
        compare_groups, min_samples=experiment.min_samples if min_samples is None else min_samples, alpha=alpha
    )
    uplift = None
    if HOLDOUT in everyone:
        treatment = _add_up(everyone[variant] for variant in treated)
        uplift = against(treatment, everyone[HOLDOUT], treatment_variants=treated)
    return ExperimentResults(
        experiment_id=experiment.id,
        experiment_key=experiment.key,
        variants=[
            _make_variant_result(variant, sample, shares.get(variant), alpha) for variant, sample in everyone.items()
        ],
        uplift=uplift,
        challengers=[
            against(everyone[variant], everyone[CHAMPION], treatment_variants=[variant], holdout_variant=CHAMPION)
            for variant in treated
            if variant != CHAMPION
        ],
        sample_ratio=_test_sample_ratio(known, shares),
    )


def evaluate_creatives(
    offer_id: str,
    creatives: Iterable[Creative],
    samples: Mapping[str, Sample],
    *,
    min_samples: int = MIN_SAMPLES,
    alpha: float = ALPHA,
) -> CreativeResults:
    """Compare the creatives of an offer that customers were recommended.

    The creative with the largest weight (of equals the first by id) is the baseline: that is known before any result
    is. Whether customers are spread by weight is not tested, because the creatives that a customer can get depend on
    the channels and placements of the request.

    Args:
        offer_id: Offer of the creatives.
        creatives: Creatives of the catalogue, also without samples.
        samples: Customers and conversions by creative, also of creatives that the catalogue no longer has.
        min_samples: As in :func:`compare_groups`.
        alpha: As in :func:`compare_groups`.

    Raises:
        ValueError: As :func:`evaluate`.
    """
    _check_samples(samples)
    known = {creative.id: creative for creative in creatives}
    shown = sorted(
        samples, key=lambda creative_id: (-known[creative_id].weight if creative_id in known else 0.0, creative_id)
    )
    return CreativeResults(
        offer_id=offer_id,
        baseline=shown[0] if shown else None,
        creatives=[
            _make_creative_result(creative_id, known.get(creative_id), samples.get(creative_id, Sample(0, 0)), alpha)
            for creative_id in sorted({*known, *samples})
        ],
        comparisons=[
            compare_groups(
                samples[creative_id],
                samples[shown[0]],
                treatment_variants=[creative_id],
                holdout_variant=shown[0],
                min_samples=min_samples,
                alpha=alpha,
            )
            for creative_id in shown[1:]
        ],
    )


def _check_samples(samples: Mapping[str, Sample]) -> None:
    for variant, sample in samples.items():
        if not 0 <= sample.conversions <= sample.customers:
            raise ValueError(f"{variant}: {sample.conversions} of {sample.customers} customers cannot have converted")


def _add_up(samples: Iterable[Sample]) -> Sample:
    total = Sample(0, 0)
    for sample in samples:
        total = total.plus(sample)
    return total


def _make_variant_result(variant: str, sample: Sample, share: float | None, alpha: float) -> VariantResult:
    interval = compute_wilson_interval(sample, alpha)
    return VariantResult(
        variant=variant,
        samples=sample.customers,
        conversions=sample.conversions,
        conversion_rate=sample.rate,
        ci_lower=interval.lower,
        ci_upper=interval.upper,
        expected_share=share,
    )


def _make_creative_result(creative_id: str, creative: Creative | None, sample: Sample, alpha: float) -> CreativeResult:
    interval = compute_wilson_interval(sample, alpha)
    return CreativeResult(
        creative_id=creative_id,
        name=creative.name if creative else None,
        variant=creative.ab_test_variant if creative else None,
        weight=creative.weight if creative else None,
        samples=sample.customers,
        conversions=sample.conversions,
        conversion_rate=sample.rate,
        ci_lower=interval.lower,
        ci_upper=interval.upper,
    )


def _test_sample_ratio(samples: Mapping[str, Sample], shares: Mapping[str, float]) -> SampleRatio:
    test = run_chi_square_test([sample.customers for sample in samples.values()], list(shares.values()))
    if test is None:
        return SampleRatio(chi_square=None, p_value=None, mismatch=False)
    return SampleRatio(
        chi_square=test.statistic if math.isfinite(test.statistic) else None,
        p_value=test.p_value,
        mismatch=test.p_value < MISMATCH_ALPHA,
    )
