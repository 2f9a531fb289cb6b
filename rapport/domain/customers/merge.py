"""Merge the snapshots and memberships of the several ids of one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rapport.domain.customers.customer import CustomerSnapshot
from rapport.domain.profiles.consent import ATTRIBUTE_PREFIX, ConsentStatus, pick_stricter, read_statuses
from rapport.domain.profiles.contact import ContactObjections
from rapport.domain.profiles.suppressions import SuppressionEndings

if TYPE_CHECKING:
    from rapport.domain.tenants import TenantSettings


def find_person_id(members: Sequence[str], customer_id: str) -> str:
    """Return the person's canonical id; empty if ``customer_id`` is the canonical one itself.

    Args:
        members: All ids of the person, the canonical one first.
        customer_id: The id named in the request.
    """
    return "" if members[0] == customer_id else members[0]


def merge_snapshots(parts: Sequence[CustomerSnapshot], settings: TenantSettings) -> CustomerSnapshot:
    """Merge snapshots: attributes of the canonical id win, the strictest consent counts, all objections hold.

    An id without recorded consent consents by its attributes, as it did before the merge.

    Args:
        parts: One snapshot per id, the canonical id first.
        settings: Settings of the tenant.
    """
    if len(parts) == 1:
        return parts[0]
    attributes = {name: value for part in reversed(parts) for name, value in (part.attributes or {}).items()}
    strictest: dict[str, ConsentStatus] = {}
    for part in parts:
        statuses: Mapping[str, ConsentStatus] = {
            purpose: ConsentStatus(status) for purpose, status in part.consents.items()
        }
        if not (statuses or settings.is_consent_record_canonical):
            statuses = read_statuses(part.attributes or {})
        for purpose, status in statuses.items():
            strictest[purpose] = pick_stricter(strictest.get(purpose, status), status)
    objections = merge_objections([part.objections for part in parts])
    endings = _merge_endings([part.endings for part in parts], strictest)
    if any(part.consents for part in parts):
        return CustomerSnapshot(attributes or None, strictest, objections, endings)
    refused = {
        ATTRIBUTE_PREFIX + purpose: False for purpose, status in strictest.items() if status is ConsentStatus.REVOKED
    }
    return CustomerSnapshot({**attributes, **refused} or None, {}, objections, endings)


def _merge_endings(parts: Sequence[SuppressionEndings], consents: Mapping[str, ConsentStatus]) -> SuppressionEndings:
    """Take every lift of any id, and grants of consent only for purposes that no other id withholds."""
    granted: dict[str, int] = {}
    lifted: dict[tuple[str, str], int] = {}
    for part in parts:
        for purpose, at_ms in part.granted_ms.items():
            if consents.get(purpose) is ConsentStatus.GRANTED:
                granted[purpose] = max(at_ms, granted.get(purpose, at_ms))
        for key, at_ms in part.lifted_ms.items():
            lifted[key] = max(at_ms, lifted.get(key, at_ms))
    return SuppressionEndings(granted_ms=granted, lifted_ms=lifted)


def merge_objections(parts: Sequence[ContactObjections]) -> ContactObjections:
    """Let an objection to contacting one of the ids hold for the person."""
    return ContactObjections(
        prevents_collection=any(part.prevents_collection for part in parts),
        refuses_gdpr=any(part.refuses_gdpr for part in parts),
        is_inactive=any(part.is_inactive for part in parts),
    )


def merge_memberships(parts: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    """Merge memberships by segment; each counts since the first of the ids joined."""
    merged: dict[str, int] = {}
    for part in parts:
        for segment_id, since_ms in part.items():
            merged[segment_id] = min(since_ms, merged.get(segment_id, since_ms))
    return merged
