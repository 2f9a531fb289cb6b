"""Keeps the values of tenants' customers: a value depends on all customers of the tenant, so they are made together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from api.clv.schemas import ClvView, view_of
from rapport.domain.profiles.clv import CustomerValue, worthless
from rapport.storage.clv import compute_values, find_contacted, read_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.database import Database
    from rapport.settings import Settings


@dataclass(frozen=True, slots=True)
class Computed:
    """All values of a tenant were worked out.

    Attributes:
        segments: How many customers are in each.
        at_ms: As of when.
    """

    segments: Mapping[str, int]
    at_ms: int


class CustomerValues:
    """Values that were kept are taken as long as they are young enough; of a tenant only one computation runs here."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], int]) -> None:
        self._database = database
        self._rules = settings.clv
        self._max_age_ms = settings.api.clv_max_age_s * 1000
        self._clock = clock
        self._computing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def of(self, tenant_id: str, customer_id: str) -> ClvView:
        """A customer's value: the one kept, or a new one if it is too old or there is none.

        A customer who was never contacted is worth nothing, and needs no computation to say so.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        kept = await self._kept(tenant_id, customer_id)
        if kept is not None:
            return view_of(customer_id, kept, self._rules, "cached")
        if not await self._database.call(find_contacted, tenant_id, [customer_id]):
            return view_of(customer_id, worthless(self._clock()), self._rules, "computed")
        lock = self._computing.setdefault(tenant_id, asyncio.Lock())
        async with lock:
            kept = await self._kept(tenant_id, customer_id)  # somebody may just have computed it
            if kept is None:
                await self._compute(tenant_id)
        return await self._newest(tenant_id, customer_id)

    async def renew(self, tenant_id: str, customer_id: str) -> ClvView:
        """A customer's value as of now, whatever is kept.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        await self.compute(tenant_id)
        return await self._newest(tenant_id, customer_id)

    async def compute(self, tenant_id: str) -> Computed:
        """Work out the values of all customers as of now.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        lock = self._computing.setdefault(tenant_id, asyncio.Lock())
        async with lock:
            return await self._compute(tenant_id)

    async def _compute(self, tenant_id: str) -> Computed:
        now_ms = self._clock()
        return Computed(await self._database.call(compute_values, tenant_id, now_ms, self._rules), now_ms)

    async def _kept(self, tenant_id: str, customer_id: str) -> CustomerValue | None:
        found = await self._database.call(read_values, tenant_id, [customer_id])
        value = found.get(customer_id)
        is_young = value is not None and self._clock() - value.computed_at_ms <= self._max_age_ms
        return value if is_young else None

    async def _newest(self, tenant_id: str, customer_id: str) -> ClvView:
        found = await self._database.call(read_values, tenant_id, [customer_id])
        value = found.get(customer_id) or worthless(self._clock())
        return view_of(customer_id, value, self._rules, "computed")
