"""Counts the customers of variants and creatives, and evaluates the counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

import msgspec

from rapport.domain.experiments.evaluation import MIN_SAMPLES, evaluate, evaluate_creatives
from rapport.storage.experiments import count_creatives, count_variants

if TYPE_CHECKING:
    from api.http.times import Clock
    from api.runtime.catalogue_cache import CompiledCatalogues
    from rapport.domain.catalogue.inventory import Creative
    from rapport.domain.catalogue.strategy import Experiment
    from rapport.domain.experiments.results import CreativeResults, ExperimentResults
    from rapport.storage.database import Database
    from rapport.storage.experiments import ConversionQuery

ALL_EXPERIMENTS: Final = ""


class ExperimentService:
    """Results of experiments and of creatives."""

    def __init__(self, database: Database, catalogues: CompiledCatalogues, clock: Clock) -> None:
        self._database = database
        self._catalogues = catalogues
        self.clock = clock

    async def find(self, tenant_id: str, experiment_id: str) -> Experiment | None:
        """Find an experiment of the catalogue by id or by key, also one that does not run (any more)."""
        catalogue = await self._catalogues.stored(tenant_id)
        experiments = cast("list[Experiment]", catalogue.entities.get("experiment", ()))
        return next((one for one in experiments if one.id == experiment_id), None) or next(
            (one for one in experiments if one.key == experiment_id), None
        )

    async def load_results(
        self, experiment: Experiment, counting: ConversionQuery, min_samples: int | None, alpha: float
    ) -> ExperimentResults:
        """Load an experiment's results; with those of an offer's creatives if the query names an offer."""
        counted = await self._database.call(count_variants, experiment.id, counting)
        # In a thread, because the bounds of sequential intervals are searched for: some milliseconds a comparison.
        results = await asyncio.to_thread(evaluate, experiment, counted.samples, min_samples=min_samples, alpha=alpha)
        creatives = None
        if counting.offer_id:
            enough = experiment.min_samples if min_samples is None else min_samples
            creatives = await self.load_creatives(experiment.id, counting, enough, alpha)
        return msgspec.structs.replace(results, switched=counted.switched, creatives=creatives)

    async def load_creatives(
        self, experiment_id: str, counting: ConversionQuery, min_samples: int | None, alpha: float
    ) -> CreativeResults:
        """Compare creatives of an offer, over the recommendations of an experiment or of :data:`ALL_EXPERIMENTS`."""
        counted = await self._database.call(count_creatives, experiment_id, counting)
        catalogue = await self._catalogues.stored(counting.tenant_id)
        creatives = cast("list[Creative]", catalogue.entities.get("creative", ()))
        results = await asyncio.to_thread(
            evaluate_creatives,
            counting.offer_id,
            [one for one in creatives if one.offer_id == counting.offer_id],
            counted.samples,
            min_samples=MIN_SAMPLES if min_samples is None else min_samples,
            alpha=alpha,
        )
        return msgspec.structs.replace(results, switched=counted.switched)
