"""What is known of customers beyond their contacts. The one place that decisions learn it from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rapport.deciding.customers import know_customer
from rapport.storage.customers import CustomerKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.reading.loader import Loader
    from rapport.deciding.customers import KnownCustomer
    from rapport.domain.profiles.contact import Objections
    from rapport.storage.customers import KeptOfCustomer
    from rapport.storage.tenants import Tenant


class CustomerSource:
    """Knows customers by what is kept of them and by what requests say.

    ``customer.*`` is what is kept; where a request's ``attributes`` say otherwise, they count for this decision.
    """

    def __init__(
        self,
        loader: Loader[CustomerKey, KeptOfCustomer],
        objections: Loader[CustomerKey, Objections],
        memberships: Loader[CustomerKey, Mapping[str, int]],
    ) -> None:
        self._loader = loader
        self._objections = objections
        self._memberships = memberships

    async def load(
        self, tenant: Tenant, customer_id: str, given: Mapping[str, Any], segments: Mapping[str, str]
    ) -> KnownCustomer:
        """One customer.

        Args:
            tenant: Whose.
            customer_id: Who.
            given: The attributes of the request.
            segments: Names of the active segments, by id; without any, nobody is asked for.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        key = CustomerKey(tenant.tenant_id, customer_id)
        kept, objections, member_of = await asyncio.gather(
            self._loader.load(key), self._objections.load(key), self._member_of(key, segments)
        )
        return know_customer(tenant, kept, objections, member_of, segments, given)

    async def _member_of(self, key: CustomerKey, segments: Mapping[str, str]) -> Mapping[str, int]:
        return await self._memberships.load(key) if segments else {}
