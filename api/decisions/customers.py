"""What is known of customers beyond their contacts. The one place that decisions learn it from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rapport.deciding.customers import know_customer
from rapport.deciding.members import merge_kept, merge_memberships
from rapport.storage.customers import CustomerKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.reading.loader import Loader
    from rapport.deciding.customers import KnownCustomer
    from rapport.storage.customers import KeptOfCustomer
    from rapport.storage.tenants import Tenant


class CustomerSource:
    """Knows customers by what is kept of them and by what requests say.

    ``customer.*`` is what is kept; where a request's ``attributes`` say otherwise, they count for this decision.
    """

    def __init__(
        self,
        loader: Loader[CustomerKey, KeptOfCustomer],
        memberships: Loader[CustomerKey, Mapping[str, int]],
    ) -> None:
        self._loader = loader
        self._memberships = memberships

    async def load(
        self, tenant: Tenant, members: Sequence[str], given: Mapping[str, Any], segments: Mapping[str, str]
    ) -> KnownCustomer:
        """One customer, put together of what is kept of all ids.

        Args:
            tenant: Whose.
            members: All ids of the customer, the canonical one first.
            given: The attributes of the request.
            segments: Names of the active segments, by id; without any, nobody is asked for.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        keys = [CustomerKey(tenant.tenant_id, member) for member in members]
        kept, member_of = await asyncio.gather(
            asyncio.gather(*map(self._loader.load, keys)),
            asyncio.gather(*map(self._memberships.load, keys if segments else ())),
        )
        return know_customer(
            tenant,
            merge_kept(kept, tenant.settings),
            merge_memberships(member_of),
            segments,
            given,
        )
