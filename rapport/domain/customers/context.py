"""What is known of customers beyond their contacts, put together of what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rapport.domain.profiles.attribute_sources import AttributeSources
from rapport.domain.profiles.consent import ConsentStatus, find_refusals, find_withheld_purposes
from rapport.domain.profiles.suppressions import NO_ENDINGS, SuppressionEndings
from rapport.domain.time_zones import MAX_NAME, TIME_ZONE, resolve_zone

if TYPE_CHECKING:
    from rapport.domain.customers.customer import CustomerSnapshot
    from rapport.domain.tenants import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerContext:
    """A customer.

    Attributes:
        attributes: What formulas and conditions call ``customer.*``.
        ignored: Names of attributes that the request sent and that were not taken.
        segments: Ids and names.
        time_zone: IANA name, where it is known.
        unknown_zone: What it is said to be, where that is none.
        withheld: Purposes for which the customer may not be contacted.
        objections: Why the customer may not be contacted at all.
        endings: What ends suppressions besides time.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    segments: frozenset[str] = frozenset()
    time_zone: str | None = None
    unknown_zone: str = ""
    withheld: frozenset[str] = frozenset()
    objections: tuple[str, ...] = ()
    endings: SuppressionEndings = NO_ENDINGS


def build_context(
    tenant: Tenant,
    kept: CustomerSnapshot,
    member_of: Mapping[str, int],
    segments: Mapping[str, str],
    given: Mapping[str, Any],
    sources: AttributeSources,
) -> CustomerContext:
    """Put together what is known of a customer.

    Args:
        tenant: Whose.
        kept: Attributes, consents and objections.
        member_of: Segments that the customer is in; those that are not in ``segments`` do not count.
        segments: Names of the active segments, by id.
        given: Attributes of the request.
        sources: Which of them count. A refusal of consent always does.
    """
    attributes, ignored = sources.merge(kept.attributes or {}, given)
    consents = {**attributes, **find_refusals(given)}
    recorded = {purpose: ConsentStatus(status) for purpose, status in kept.consents.items()}
    mine = member_of.keys() & segments.keys()
    return CustomerContext(
        attributes=attributes,
        ignored=ignored,
        segments=frozenset(mine) | {segments[one] for one in mine},
        time_zone=resolve_time_zone(kept, given, sources),
        unknown_zone=find_unknown_zone(kept, given, sources),
        withheld=find_withheld_purposes(recorded, consents, tenant.settings),
        objections=kept.objections.reasons(),
        endings=kept.endings,
    )


def resolve_time_zone(kept: CustomerSnapshot, given: Mapping[str, Any], sources: AttributeSources) -> str | None:
    """A customer's time zone, where it is known: of its source; of either, what the request says counts more."""
    zones = (resolve_zone(zone) for zone in _zones_named(kept, given, sources) if isinstance(zone, str))
    return next((zone for zone in zones if zone is not None), None)


def find_unknown_zone(kept: CustomerSnapshot, given: Mapping[str, Any], sources: AttributeSources) -> str:
    """What a customer's time zone is said to be, where that is none; empty otherwise."""
    said = _zones_named(kept, given, sources)
    return str(said[0])[:MAX_NAME] if said and resolve_time_zone(kept, given, sources) is None else ""


def _zones_named(kept: CustomerSnapshot, given: Mapping[str, Any], sources: AttributeSources) -> Sequence[object]:
    """What the request says, then what is stored, as far as their word counts."""
    source = sources.source_of(TIME_ZONE)
    sent = given.get(TIME_ZONE) if source != "stored" else None
    stored = (kept.attributes or {}).get(TIME_ZONE) if source != "request" else None
    return [zone for zone in (sent, stored) if zone is not None]
