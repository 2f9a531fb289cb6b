"""Results of an experiment, as the API answers them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class _Result(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Part of the results. Null stands for values that cannot be computed, such as the rate of no customers."""


class VariantResult(_Result, frozen=True, kw_only=True):
    """Result of one variant.

    Attributes:
        variant: ``__champion__``, the model id of a challenger, or ``__holdout__``.
        ci_lower: Lower bound of Wilson's interval of the conversion rate.
        expected_share: Configured share of the customers.
    """

    variant: str
    samples: int
    conversions: int
    conversion_rate: float | None
    ci_lower: float
    ci_upper: float
    expected_share: float | None = None


class CreativeResult(_Result, frozen=True, kw_only=True):
    """Result of one creative of an offer.

    Attributes:
        name: Name in the catalogue; null if it does not have the creative (any more).
        variant: The creative's ``abTestVariant``.
        weight: As configured now.
        ci_lower: Lower bound of Wilson's interval of the conversion rate.
    """

    creative_id: str
    name: str | None
    variant: str | None
    weight: float | None
    samples: int
    conversions: int
    conversion_rate: float | None
    ci_lower: float
    ci_upper: float


class Uplift(_Result, frozen=True, kw_only=True):
    """Comparison of two groups. The group compared with is called holdout, also if it is the champion or a creative.

    Attributes:
        treatment: Variants in the first group.
        holdout: Variant of the second group.
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
    sequential_p_value: float | None
    sequentially_significant: bool
    insufficient_data: bool
    min_samples: int
    alpha: float


class SampleRatio(_Result, frozen=True, kw_only=True):
    """Test of the split of customers over the variants; if it mismatches, no other number can be trusted.

    Attributes:
        chi_square: Pearson's; null also where it is infinite: a variant that should have no customers has some.
    """

    chi_square: float | None
    p_value: float | None
    mismatch: bool


class CreativeResults(_Result, frozen=True, kw_only=True):
    """Comparison of the creatives of an offer.

    Attributes:
        baseline: The creative that the others are compared with; null if none was recommended.
        switched: Customers who were recommended several of them; they count for the first.
    """

    offer_id: str
    baseline: str | None
    creatives: Sequence[CreativeResult]
    comparisons: Sequence[Uplift]
    switched: int = 0


class ExperimentResults(_Result, frozen=True, kw_only=True):
    """Results of an experiment. Comparisons are not corrected for there being several.

    Attributes:
        uplift: All customers whom a model scored against the holdout; null without a holdout.
        challengers: Each against the champion.
        switched: Customers who were in several variants, as after a change of shares; they count for the first.
        creatives: Results of the requested offer's creatives, if one was requested.
    """

    experiment_id: str
    experiment_key: str
    variants: Sequence[VariantResult]
    uplift: Uplift | None
    challengers: Sequence[Uplift]
    sample_ratio: SampleRatio
    switched: int = 0
    creatives: CreativeResults | None = None
