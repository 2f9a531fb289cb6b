"""Cache of the tenants and their outcome types, refreshed while the worker runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rapport.domain.outcomes import OutcomeType, classify, derive_direction
from rapport.domain.tenants import Tenant


class OutcomeMeaning(NamedTuple):
    """Classification and category of an outcome, in the words of the tables."""

    classification: str
    category: str
    is_conversion: bool
    default_direction: str
    allows_negative_value: bool = False


class TenantCache:
    """Cache of tenants and outcome types, so that an event needs no query.

    Not thread-safe: used by one batch at a time.
    """

    def __init__(
        self,
        load: Callable[[], Mapping[str, Tenant]],
        *,
        refresh_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._refresh_s = refresh_s
        self._monotonic = monotonic
        self._loaded_at = -float("inf")
        self._tenants: Mapping[str, Tenant] = {}
        self._meanings: dict[tuple[str, str], OutcomeMeaning] = {}

    def refresh(self, *, at_least_every_s: float | None = None) -> None:
        """Load again if the cache is older than the refresh interval, or than ``at_least_every_s``."""
        age = self._monotonic() - self._loaded_at
        if age >= (self._refresh_s if at_least_every_s is None else at_least_every_s):
            self._tenants = self._load()
            self._meanings.clear()
            self._loaded_at = self._monotonic()

    def find_time_zone(self, tenant_id: str) -> str | None:
        """Return the tenant's time zone; None for an unknown tenant."""
        tenant = self._tenants.get(tenant_id)
        return tenant.time_zone if tenant else None

    def find_meaning(self, tenant_id: str, outcome: str, received_at_ms: int) -> OutcomeMeaning | None:
        """Return an outcome's meaning for a tenant at the time the broker received it; None if it was unknown then."""
        known = self._meanings.get((tenant_id, outcome))
        if known is not None:
            return known
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            return None
        outcome_type = classify(outcome, received_at_ms, tenant.outcomes)
        if outcome_type is None:
            return None
        meaning = _read_meaning(outcome_type)
        if len(tenant.outcomes[outcome]) == 1 and outcome_type.effective_at_ms == 0:
            self._meanings[tenant_id, outcome] = meaning  # holds for all times
        return meaning

    def list_outcomes(self, tenant_id: str) -> list[str]:
        """List the outcomes that a producer may send for a tenant, for error texts."""
        tenant = self._tenants.get(tenant_id)
        return sorted(tenant.outcomes) if tenant else []


def _read_meaning(outcome_type: OutcomeType) -> OutcomeMeaning:
    return OutcomeMeaning(
        outcome_type.classification.value,
        outcome_type.category.value,
        outcome_type.is_conversion,
        derive_direction(outcome_type.category),
        outcome_type.allows_negative_value,
    )
