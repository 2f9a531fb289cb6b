"""Works behavioral metrics out of the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from api.http.errors import ApiError
from rapport.storage.metrics import read_metrics

if TYPE_CHECKING:
    from api.http.times import Clock
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.identity_cache import IdentityCache
    from rapport.domain.catalogue.strategy import MetricDefinition
    from rapport.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedMetrics:
    """Values of metrics.

    Attributes:
        values: By customer id, then by the metric's key.
        computed_at_ms: Epoch milliseconds.
    """

    definitions: Sequence[MetricDefinition]
    values: Mapping[str, Mapping[str, float | None]]
    computed_at_ms: int


class MetricValueService:
    """Values of behavioral metrics, of persons with all their ids."""

    def __init__(
        self, database: Database, catalogues: CompiledCatalogues, identities: IdentityCache, clock: Clock
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._identities = identities
        self._clock = clock

    async def compute_active(self, tenant_id: str, customer_id: str) -> ComputedMetrics:
        """Compute all active metrics of one customer."""
        catalogue = await self._catalogues.of(tenant_id)
        return await self._compute(tenant_id, [customer_id], list(catalogue.metrics.values()))

    async def compute_one(self, tenant_id: str, key_or_id: str, customer_ids: Sequence[str]) -> ComputedMetrics:
        """Compute one metric, active or not, of some customers.

        Raises:
            ApiError: 404; there is no such metric.
        """
        return await self._compute(tenant_id, customer_ids, [await self._find(tenant_id, key_or_id)])

    async def _compute(
        self, tenant_id: str, customer_ids: Sequence[str], definitions: Sequence[MetricDefinition]
    ) -> ComputedMetrics:
        now_ms = self._clock()
        merges = await self._identities.of(tenant_id)
        members = {customer_id: merges.members(customer_id) for customer_id in customer_ids}
        values = await self._database.call(read_metrics, tenant_id, members, definitions, now_ms)
        return ComputedMetrics(definitions=definitions, values=values, computed_at_ms=now_ms)

    async def _find(self, tenant_id: str, key_or_id: str) -> MetricDefinition:
        catalogue = await self._catalogues.stored(tenant_id)
        for definition in cast("Sequence[MetricDefinition]", catalogue.entities.get("metric", ())):
            if key_or_id in (definition.key, definition.id):
                return definition
        raise ApiError(404, f"There is no behavioral metric {key_or_id!r}.")
