"""What is known of customers beyond their contacts, put together of what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from rapport.domain.profiles.attribute_sources import TIME_ZONE, AttributeSources
from rapport.domain.profiles.consent import Status, refusals_in, withheld
from rapport.domain.profiles.suppressions import NO_ENDINGS, Endings

if TYPE_CHECKING:
    from rapport.storage.customers import KeptOfCustomer
    from rapport.storage.tenants import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCustomer:
    """A customer.

    Attributes:
        attributes: What formulas and conditions call ``customer.*``.
        ignored: Names of attributes that the request sent and that were not taken.
        segments: Ids and names.
        time_zone: IANA name, where it is known.
        withheld: Purposes for which the customer may not be contacted.
        objections: Why the customer may not be contacted at all.
        endings: What ends suppressions besides time.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    segments: frozenset[str] = frozenset()
    time_zone: str | None = None
    withheld: frozenset[str] = frozenset()
    objections: tuple[str, ...] = ()
    endings: Endings = NO_ENDINGS


def know_customer(
    tenant: Tenant,
    kept: KeptOfCustomer,
    member_of: Mapping[str, int],
    segments: Mapping[str, str],
    given: Mapping[str, Any],
    sources: AttributeSources,
) -> KnownCustomer:
    """Put together what is known of a customer.

    Args:
        tenant: Whose.
        kept: Attributes, consents and objections.
        member_of: Segments that the customer is in; those that are not in ``segments`` do not count.
        segments: Names of the active segments, by id.
        given: Attributes of the request.
        sources: Which of them count. A refusal of consent always does.
    """
    attributes, ignored = sources.put_together(kept.attributes or {}, given)
    consents = {**attributes, **refusals_in(given)}
    recorded = {purpose: Status(status) for purpose, status in kept.consents.items()}
    mine = member_of.keys() & segments.keys()
    return KnownCustomer(
        attributes=attributes,
        ignored=ignored,
        segments=frozenset(mine) | {segments[one] for one in mine},
        time_zone=time_zone_of(kept, given, sources),
        withheld=withheld(recorded, consents, tenant.settings),
        objections=kept.objections.reasons(),
        endings=kept.endings,
    )


def time_zone_of(kept: KeptOfCustomer, given: Mapping[str, Any], sources: AttributeSources) -> str | None:
    """A customer's time zone, where it is known: of its source; of either, what the request says counts more."""
    source = sources.source_of(TIME_ZONE)
    sent = _zone_of(given) if source != "stored" else None
    return sent or (_zone_of(kept.attributes or {}) if source != "request" else None)


def _zone_of(attributes: Mapping[str, Any]) -> str | None:
    zone = attributes.get(TIME_ZONE)
    return zone if isinstance(zone, str) and zone in _zones() else None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
