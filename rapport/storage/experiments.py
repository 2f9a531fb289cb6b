"""What experiments have shown so far: customers and conversions per variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rapport.domain.experiments.statistics import Sample
from rapport.storage.identity import read_aliases

if TYPE_CHECKING:
    from rapport.storage.client import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionQuery:
    """Which recommendations and conversions are counted.

    Attributes:
        from_ms: Recommendations at or after this time, epoch milliseconds.
        to_ms: Recommendations and conversions before it.
        offer_id: Conversions of this offer; empty: of any.
        only_offered: A conversion counts only after a recommendation of its own offer in the experiment.
    """

    tenant_id: str
    from_ms: int
    to_ms: int
    offer_id: str = ""
    only_offered: bool = False


@dataclass(frozen=True, slots=True)
class ConversionCounts:
    """People and conversions. Ids that were merged are one person.

    Attributes:
        samples: By variant, or by creative; those without customers are missing.
        switched: People who were in several of them; they count for the first.
    """

    samples: Mapping[str, Sample]
    switched: int


def count_variants(store: Store, experiment_id: str, counting: ConversionQuery) -> ConversionCounts:
    """Count the people in each arm of an experiment, and how many of them converted on it."""
    return _sum_rows(
        store.rows(
            "experiments/variants",
            {**_parameters(store, counting), "experiment_id": experiment_id, "only_offered": counting.only_offered},
        )
    )


def count_creatives(store: Store, experiment_id: str, counting: ConversionQuery) -> ConversionCounts:
    """Count the people to whom each creative of an offer was recommended, and how many converted on it.

    Args:
        store: The database.
        experiment_id: Only its recommendations; empty: all.
        counting: Names the offer.
    """
    return _sum_rows(
        store.rows("experiments/creatives", {**_parameters(store, counting), "experiment_id": experiment_id})
    )


def _parameters(store: Store, counting: ConversionQuery) -> dict[str, Any]:
    return {
        **read_aliases(store, counting.tenant_id),
        "tenant_id": counting.tenant_id,
        "offer_id": counting.offer_id,
        "from_ms": counting.from_ms,
        "to_ms": counting.to_ms,
    }


def _sum_rows(rows: list[dict[str, Any]]) -> ConversionCounts:
    return ConversionCounts(
        {row["variant"]: Sample(row["conversions"], row["customers"]) for row in rows},
        sum(row["switched"] for row in rows),
    )
