"""What is known of customers beyond their contacts. The one place that decisions learn it from."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from rapport.domain.profiles.consent import Status, withheld
from rapport.storage.customers import CustomerKey, KeptOfCustomer

if TYPE_CHECKING:
    from api.reading.loader import Loader
    from rapport.domain.profiles.contact import Objections
    from rapport.storage.tenants import Tenant

TIME_ZONE: str = "timeZone"
"""The attribute that names a customer's time zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCustomer:
    """A customer.

    Attributes:
        attributes: What formulas and conditions call ``customer.*``.
        segments: Ids or names.
        time_zone: IANA name, where it is known.
        withheld: Purposes for which the customer may not be contacted.
        objections: Why the customer may not be contacted at all.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    segments: frozenset[str] = frozenset()
    time_zone: str | None = None
    withheld: frozenset[str] = frozenset()
    objections: tuple[str, ...] = ()


class CustomerSource:
    """Knows customers by what is kept of them and by what requests say.

    ``customer.*`` is what is kept; where a request's ``attributes`` say otherwise, they count for this decision.
    """

    def __init__(
        self, loader: Loader[CustomerKey, KeptOfCustomer], objections: Loader[CustomerKey, Objections]
    ) -> None:
        self._loader = loader
        self._objections = objections

    async def load(self, tenant: Tenant, customer_id: str, given: Mapping[str, Any]) -> KnownCustomer:
        """One customer.

        Args:
            tenant: Whose.
            customer_id: Who.
            given: The attributes of the request.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        key = CustomerKey(tenant.tenant_id, customer_id)
        kept, objections = await asyncio.gather(self._loader.load(key), self._objections.load(key))
        attributes = {**kept.attributes, **given} if kept.attributes else given
        recorded = {purpose: Status(status) for purpose, status in kept.consents.items()}
        return KnownCustomer(
            attributes=attributes,
            time_zone=_zone_of(given) or _zone_of(kept.attributes or {}),
            withheld=withheld(recorded, attributes, tenant.settings),
            objections=objections.reasons(),
        )


def _zone_of(attributes: Mapping[str, Any]) -> str | None:
    zone = attributes.get(TIME_ZONE)
    return zone if isinstance(zone, str) and zone in _zones() else None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
