"""What is known of customers beyond their contacts, put together of what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from rapport.domain.profiles.consent import Status, withheld

if TYPE_CHECKING:
    from rapport.storage.customers import KeptOfCustomer
    from rapport.storage.tenants import Tenant

TIME_ZONE: str = "timeZone"
"""The attribute that names a customer's time zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCustomer:
    """A customer.

    Attributes:
        attributes: What formulas and conditions call ``customer.*``.
        segments: Ids and names.
        time_zone: IANA name, where it is known.
        withheld: Purposes for which the customer may not be contacted.
        objections: Why the customer may not be contacted at all.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    segments: frozenset[str] = frozenset()
    time_zone: str | None = None
    withheld: frozenset[str] = frozenset()
    objections: tuple[str, ...] = ()


def know_customer(
    tenant: Tenant,
    kept: KeptOfCustomer,
    member_of: Mapping[str, int],
    segments: Mapping[str, str],
    given: Mapping[str, Any],
) -> KnownCustomer:
    """Put together what is known of a customer.

    Args:
        tenant: Whose.
        kept: Attributes, consents and objections.
        member_of: Segments that the customer is in; those that are not in ``segments`` do not count.
        segments: Names of the active segments, by id.
        given: Attributes of the request: where they say otherwise than what is kept, they count for this decision.
    """
    attributes = {**kept.attributes, **given} if kept.attributes else given
    recorded = {purpose: Status(status) for purpose, status in kept.consents.items()}
    mine = member_of.keys() & segments.keys()
    return KnownCustomer(
        attributes=attributes,
        segments=frozenset(mine) | {segments[one] for one in mine},
        time_zone=time_zone_of(kept, given),
        withheld=withheld(recorded, attributes, tenant.settings),
        objections=kept.objections.reasons(),
    )


def time_zone_of(kept: KeptOfCustomer, given: Mapping[str, Any]) -> str | None:
    """A customer's time zone, where it is known: what the request says counts more than what is kept."""
    return _zone_of(given) or _zone_of(kept.attributes or {})


def _zone_of(attributes: Mapping[str, Any]) -> str | None:
    zone = attributes.get(TIME_ZONE)
    return zone if isinstance(zone, str) and zone in _zones() else None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
