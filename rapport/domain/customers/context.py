"""The customer context of a decision: stored attributes, consent and objections, memberships, request attributes."""

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
    """Customer as a decision sees it, contact history apart.

    Attributes:
        attributes: The attributes in force; formulas and conditions read them as ``customer.*``.
        ignored: Names of attributes that the request sent and that were not taken.
        segments: Ids and names of the customer's active segments.
        time_zone: IANA name; None if it is unknown.
        unknown_zone: The stated time zone, if it is none; empty otherwise.
        withheld: Purposes for which consent is missing.
        objections: Reasons not to contact the customer at all.
        endings: Consent and operators' lifts that end suppressions early.
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
    snapshot: CustomerSnapshot,
    member_of: Mapping[str, int],
    segments: Mapping[str, str],
    given: Mapping[str, Any],
    sources: AttributeSources,
) -> CustomerContext:
    """Combine a customer's snapshot, memberships and request attributes into the context of a decision.

    Args:
        tenant: The customer's tenant.
        snapshot: Stored attributes, consents and objections.
        member_of: Segments of the customer; those that are not in ``segments`` do not count.
        segments: Names of the active segments, by id.
        given: Attributes of the request.
        sources: Decide between stored and sent attributes. A refusal of consent counts from either.
    """
    attributes, ignored = sources.merge(snapshot.attributes or {}, given)
    consents = {**attributes, **find_refusals(given)}
    recorded = {purpose: ConsentStatus(status) for purpose, status in snapshot.consents.items()}
    mine = member_of.keys() & segments.keys()
    return CustomerContext(
        attributes=attributes,
        ignored=ignored,
        segments=frozenset(mine) | {segments[segment_id] for segment_id in mine},
        time_zone=resolve_time_zone(snapshot, given, sources),
        unknown_zone=find_unknown_zone(snapshot, given, sources),
        withheld=find_withheld_purposes(recorded, consents, tenant.settings),
        objections=snapshot.objections.reasons(),
        endings=snapshot.endings,
    )


def resolve_time_zone(snapshot: CustomerSnapshot, given: Mapping[str, Any], sources: AttributeSources) -> str | None:
    """Resolve the customer's time zone from its source; of ``either``, the request comes first. None if unknown."""
    zones = (resolve_zone(zone) for zone in _list_zones(snapshot, given, sources) if isinstance(zone, str))
    return next((zone for zone in zones if zone is not None), None)


def find_unknown_zone(snapshot: CustomerSnapshot, given: Mapping[str, Any], sources: AttributeSources) -> str:
    """Return the stated time zone if no zone has that name; empty otherwise."""
    zones = _list_zones(snapshot, given, sources)
    return str(zones[0])[:MAX_NAME] if zones and resolve_time_zone(snapshot, given, sources) is None else ""


def _list_zones(snapshot: CustomerSnapshot, given: Mapping[str, Any], sources: AttributeSources) -> Sequence[object]:
    """List the time zones that the request and the snapshot name, in that order, as far as their source counts."""
    source = sources.source_of(TIME_ZONE)
    sent = given.get(TIME_ZONE) if source != "stored" else None
    stored = (snapshot.attributes or {}).get(TIME_ZONE) if source != "request" else None
    return [zone for zone in (sent, stored) if zone is not None]
