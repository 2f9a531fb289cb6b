"""Tenants and their settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from rapport.domain.outcomes import OutcomeVersions

REQUESTS_PER_MINUTE: Final = 1_000
MAX_REQUESTS_PER_MINUTE: Final = 10_000_000
MAX_ID: Final = 64
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)


def find_tenant_id_fault(tenant_id: str) -> str:
    """Return the fault of a new tenant's id; empty if it has none.

    A tenant id has no colon, so that the first one in a message key ``tenant:customer`` ends it, whatever customers are
    called.
    """
    if _ID.fullmatch(tenant_id) and len(tenant_id) <= MAX_ID:
        return ""
    return f"must be up to {MAX_ID} letters, digits, dots, hyphens and underscores of ASCII, a letter or digit first"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """Settings of a tenant for the API.

    Attributes:
        requests_per_minute: Limit for all keys of the tenant together.
        is_catalogue_strict: Whether a response that names an offer, creative or channel which the catalogue does not
            know is refused (404) instead of being recorded with a warning.
        decision_quota: Most recommendations in all; 0 for no limit.
        holdout_percent: The share of customers, from 0 to 100, who get the fallback instead of the flows' decisions.
        requires_consent: Whether a customer without a consent statement may not be contacted.
        is_consent_record_canonical: Whether records of consent alone count, and customers' attributes never do.
    """

    requests_per_minute: int = REQUESTS_PER_MINUTE
    is_catalogue_strict: bool = False
    decision_quota: int = 0
    holdout_percent: float = 0.0
    requires_consent: bool = False
    is_consent_record_canonical: bool = False


@dataclass(frozen=True, slots=True)
class Tenant:
    """Tenant as the stream and the API see it.

    Attributes:
        time_zone: IANA name; calendar periods start at local midnight there.
        outcomes: Its outcome types with their versions.
    """

    tenant_id: str
    name: str
    time_zone: str
    outcomes: OutcomeVersions
    settings: TenantSettings = field(default_factory=TenantSettings)
