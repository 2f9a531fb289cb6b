"""Results of experiments so far: customers and conversions per variant."""

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
    """Recommendations and conversions to count.

    Attributes:
        from_ms: Recommendations at or after this time, epoch milliseconds.
        to_ms: Recommendations and conversions before this time.
        offer_id: Conversions of this offer; empty: of any.
        only_offered: Whether a conversion counts only after a recommendation of its own offer in the experiment.
    """

    tenant_id: str
    from_ms: int
    to_ms: int
    offer_id: str = ""
    only_offered: bool = False


@dataclass(frozen=True, slots=True)
class ConversionCounts:
    """Numbers of people and conversions. Merged ids are one person.

    Attributes:
        samples: By variant, or by creative; those without customers are left out.
        switched: People who were in several variants; they count for the first.
    """

    samples: Mapping[str, Sample]
    switched: int


def count_variants(store: Store, experiment_id: str, query: ConversionQuery) -> ConversionCounts:
    """Count the people in each variant of an experiment, and those of them who converted on it."""
    return _sum_rows(
        store.rows(
            "experiments/variants",
            {**_parameters(store, query), "experiment_id": experiment_id, "only_offered": query.only_offered},
        )
    )


def count_creatives(store: Store, experiment_id: str, query: ConversionQuery) -> ConversionCounts:
    """Count the people to whom each creative of an offer was recommended, and those who converted on it.

    Args:
        store: The database.
        experiment_id: Only its recommendations; empty: all.
        query: Names the offer.
    """
    return _sum_rows(store.rows("experiments/creatives", {**_parameters(store, query), "experiment_id": experiment_id}))


def _parameters(store: Store, query: ConversionQuery) -> dict[str, Any]:
    return {
        **read_aliases(store, query.tenant_id),
        "tenant_id": query.tenant_id,
        "offer_id": query.offer_id,
        "from_ms": query.from_ms,
        "to_ms": query.to_ms,
    }


def _sum_rows(rows: list[dict[str, Any]]) -> ConversionCounts:
    return ConversionCounts(
        {row["variant"]: Sample(row["conversions"], row["customers"]) for row in rows},
        sum(row["switched"] for row in rows),
    )
