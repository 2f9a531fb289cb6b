"""What an experiment has shown, as it is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from rapport.domain.experiments.assignment import CHAMPION, HOLDOUT, shares_of
from rapport.domain.experiments.statistics import (
    ALPHA,
    Sample,
    chi_square_test,
    newcombe_interval,
    watch_difference,
    wilson_interval,
    z_test,
)

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import Experiment

MISMATCH_ALPHA: Final = 0.001
"""Below this p-value the assignment itself is taken to be broken; as usual far stricter than a test of effects."""


class _Result(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The base of results; null stands for what cannot be worked out, such as the rate of nobody."""


class VariantResult(_Result, frozen=True, kw_only=True):
    """One variant.

    Attributes:
        variant: ``__champion__``, the model id of a challenger, or ``__holdout__``.
        ci_lower: Wilson's interval of the conversion rate.
        expected_share: The part of the customers that it should have.
    """

    variant: str
    samples: int
    conversions: int
    conversion_rate: float | None
    ci_lower: float
    ci_upper: float
    expected_share: float | None = None


class Uplift(_Result, frozen=True, kw_only=True):
    """Two groups compared. The group compared with is called holdout, also where it is the champion.

    Attributes:
        treatment: Which variants are in the first group.
        holdout: Which variant is the second.
        uplift: Difference of the rates.
        relative_uplift: The difference in terms of the holdout's rate; null if that is 0.
        z_score: Of the pooled two-proportion test.
        p_value: Two-tailed; for a single look at a sample whose size was fixed before.
        significant: Whether the p-value is below alpha and there is enough data.
        ci_lower: Newcombe's interval of the uplift; for a single look.
        sequential_lower: The anytime-valid interval of the uplift.
        sequential_p_value: The anytime-valid p-value.
        sequentially_significant: Whether that is below alpha and there is enough data; an experiment may be stopped by
            it at any time.
        insufficient_data: Whether either group has fewer customers than ``min_samples``.
    """

    treatment: Sequence[str]
    holdout: str
    treatment_samples: int
    holdout_samples: int
    treatment_conversion_rate: float | None
    holdout_conversion_rate: float | None
    treatment_ci_lower: float
    treatment_ci_upper: float
    holdout_ci_lower: float
    holdout_ci_upper: float
    uplift: float | None
    relative_uplift: float | None
    z_score: float | None
    p_value: float | None
    significant: bool
    ci_lower: float
    ci_upper: float
    sequential_lower: float
    sequential_upper: float
    sequential_p_value: float
    sequentially_significant: bool
    insufficient_data: bool
    min_samples: int
    alpha: float


class SampleRatio(_Result, frozen=True, kw_only=True):
    """Whether customers are spread over the variants as configured; if not, no other number can be trusted.

    Attributes:
        chi_square: Pearson's; null in JSON also where it is infinite: a variant that should have no customers has some.
    """

    chi_square: float | None
    p_value: float | None
    mismatch: bool


class ExperimentResults(_Result, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        uplift: Everybody whom a model scored against the holdout; null without a holdout.
        challengers: Each against the champion.
    """

    experiment_id: str
    experiment_key: str
    variants: Sequence[VariantResult]
    uplift: Uplift | None
    challengers: Sequence[Uplift]
    sample_ratio: SampleRatio


def compare(
    treatment: Sample,
    holdout: Sample,
    *,
    treatment_variants: Sequence[str] = (),
    holdout_variant: str = HOLDOUT,
    min_samples: int = 50,
    alpha: float = ALPHA,
) -> Uplift:
    """Compare two groups.

    Args:
        treatment: The group whose effect is asked for.
        holdout: What it is compared with.
        treatment_variants: Goes into the result.
        holdout_variant: Likewise.
        min_samples: Customers that each group must have before anything is called significant.
        alpha: How often a difference may be found where there is none.
    """
    mine, its = wilson_interval(treatment, alpha), wilson_interval(holdout, alpha)
    rate, other = treatment.rate, holdout.rate
    difference = None if rate is None or other is None else rate - other
    test = z_test(treatment, holdout)
    interval = newcombe_interval(treatment, holdout, alpha)
    watched = watch_difference(treatment, holdout, alpha)
    is_insufficient = min(treatment.customers, holdout.customers) < max(1, min_samples)
    return Uplift(
        treatment=treatment_variants,
        holdout=holdout_variant,
        treatment_samples=treatment.customers,
        holdout_samples=holdout.customers,
        treatment_conversion_rate=rate,
        holdout_conversion_rate=other,
        treatment_ci_lower=mine.lower,
        treatment_ci_upper=mine.upper,
        holdout_ci_lower=its.lower,
        holdout_ci_upper=its.upper,
        uplift=difference,
        relative_uplift=difference / other if difference is not None and other else None,
        z_score=test.statistic if test else None,
        p_value=test.p_value if test else None,
        significant=test is not None and not is_insufficient and test.p_value < alpha,
        ci_lower=interval.lower,
        ci_upper=interval.upper,
        sequential_lower=watched.interval.lower if watched else -1.0,
        sequential_upper=watched.interval.upper if watched else 1.0,
        sequential_p_value=watched.p_value if watched else 1.0,
        sequentially_significant=watched is not None and not is_insufficient and watched.p_value < alpha,
        insufficient_data=is_insufficient,
        min_samples=min_samples,
        alpha=alpha,
    )


def evaluate(
    experiment: Experiment, samples: Mapping[str, Sample], *, min_samples: int | None = None, alpha: float = ALPHA
) -> ExperimentResults:
    """Work out an experiment's results.

    Args:
        experiment: As it is configured while the samples are taken; after a change of shares count from the change.
        samples: Customers and conversions by variant. Variants that the experiment does not have (any more) are shown,
            and belong to the treatment.
        min_samples: Instead of the experiment's.
        alpha: How often a difference may be found where there is none.

    Raises:
        ValueError: More customers have converted than there are, or a count is below zero.
    """
    for variant, sample in samples.items():
        if not 0 <= sample.conversions <= sample.customers:
            raise ValueError(f"{variant}: {sample.conversions} of {sample.customers} customers cannot have converted")
    enough = experiment.min_samples if min_samples is None else min_samples
    shares = shares_of(experiment)
    known = {variant: samples.get(variant, Sample(0, 0)) for variant in shares}
    everyone = known | {variant: samples[variant] for variant in sorted(samples) if variant not in shares}
    treated = [variant for variant in everyone if variant != HOLDOUT]
    treatment = Sample(*(sum(counts) for counts in zip(*(everyone[variant] for variant in treated), strict=True)))

    def against(holdout: str, sample: Sample, variants: Sequence[str]) -> Uplift:
        return compare(
            sample,
            everyone[holdout],
            treatment_variants=variants,
            holdout_variant=holdout,
            min_samples=enough,
            alpha=alpha,
        )

    return ExperimentResults(
        experiment_id=experiment.id,
        experiment_key=experiment.key,
        variants=[_variant(variant, sample, shares.get(variant), alpha) for variant, sample in everyone.items()],
        uplift=against(HOLDOUT, treatment, treated) if HOLDOUT in everyone else None,
        challengers=[against(CHAMPION, everyone[one], [one]) for one in treated if one != CHAMPION],
        sample_ratio=_sample_ratio(known, shares),
    )


def _variant(variant: str, sample: Sample, share: float | None, alpha: float) -> VariantResult:
    interval = wilson_interval(sample, alpha)
    return VariantResult(
        variant=variant,
        samples=sample.customers,
        conversions=sample.conversions,
        conversion_rate=sample.rate,
        ci_lower=interval.lower,
        ci_upper=interval.upper,
        expected_share=share,
    )


def _sample_ratio(samples: Mapping[str, Sample], shares: Mapping[str, float]) -> SampleRatio:
    test = chi_square_test([sample.customers for sample in samples.values()], list(shares.values()))
    if test is None:
        return SampleRatio(chi_square=None, p_value=None, mismatch=False)
    return SampleRatio(chi_square=test.statistic, p_value=test.p_value, mismatch=test.p_value < MISMATCH_ALPHA)
