"""Lifetime values of customers. A value depends on all customers of the tenant, so they are computed together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.clv.schemas import ClvView, build_view
from api.runtime.single_flight import SingleFlight
from rapport.domain.profiles.clv import make_zero_value
from rapport.storage.clv import compute_values, find_contacted, read_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.runtime.identity_cache import IdentityCache
    from rapport.domain.profiles.clv import CustomerValue
    from rapport.settings import Settings
    from rapport.storage.database import Database


CLOCK_SKEW_MS: Final = 1_000
"""So far the clocks of the API and of ClickHouse may be apart."""


@dataclass(frozen=True, slots=True)
class ClvComputation:
    """Result of computing all values of a tenant.

    Attributes:
        segments: How many customers are in each.
        at_ms: As of when.
    """

    segments: Mapping[str, int]
    at_ms: int


class ClvService:
    """Stored values count until they are too old; one computation per tenant runs at a time (single-flight)."""

    def __init__(
        self, database: Database, identities: IdentityCache, settings: Settings, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._identities = identities
        self._rules = settings.clv
        self._max_age_ms = settings.api.clv_max_age_s * 1000
        self._clock = clock
        self._computations = SingleFlight[str, ClvComputation](self._compute)

    async def of(self, tenant_id: str, customer_id: str) -> ClvView:
        """Return a customer's value: the stored one, or a new one if it is too old or there is none.

        A customer who was never contacted is worth nothing, and needs no computation to say so.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        merges = await self._identities.of(tenant_id)
        canonical_id = merges.canonical(customer_id)
        kept = (await self._database.call(read_values, tenant_id, [canonical_id])).get(canonical_id)
        if kept is not None and self._is_good(kept, merges.changed_at_ms(customer_id)):
            return build_view(customer_id, kept, self._rules, "cached")
        if await self._database.call(find_contacted, tenant_id, merges.members(customer_id)):
            await self._computations.join(tenant_id)
        return await self._newest(tenant_id, customer_id)

    def _is_good(self, kept: CustomerValue, changed_at_ms: int) -> bool:
        """Return whether a value is young enough, and computed since the customer's last merge."""
        is_of_person = changed_at_ms == 0 or kept.computed_at_ms > changed_at_ms + CLOCK_SKEW_MS
        return is_of_person and self._clock() - kept.computed_at_ms <= self._max_age_ms

    async def renew(self, tenant_id: str, customer_id: str) -> ClvView:
        """Compute a customer's value as of now, whatever is stored.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        await self.compute(tenant_id)
        return await self._newest(tenant_id, customer_id)

    async def compute(self, tenant_id: str) -> ClvComputation:
        """Work out the values of all customers as of now.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        return await self._computations.begin_anew(tenant_id)

    async def _compute(self, tenant_id: str) -> ClvComputation:
        now_ms = self._clock()
        return ClvComputation(await self._database.call(compute_values, tenant_id, now_ms, self._rules), now_ms)

    async def _newest(self, tenant_id: str, customer_id: str) -> ClvView:
        canonical_id = (await self._identities.of(tenant_id)).canonical(customer_id)
        found = await self._database.call(read_values, tenant_id, [canonical_id])
        value = found.get(canonical_id) or make_zero_value(self._clock())
        return build_view(customer_id, value, self._rules, "computed")
