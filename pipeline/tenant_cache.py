"""The tenants and outcome types a worker knows, refreshed while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rapport.domain.outcomes import OutcomeType, classify, default_direction
from rapport.domain.tenants import Tenant


class Meaning(NamedTuple):
    """What an outcome means for the counts, in the words of the tables."""

    classification: str
    category: str
    is_conversion: bool
    default_direction: str
    allows_negative_value: bool = False


class Directory:
    """Looks tenants and outcomes up without asking the store for each event.

    Not thread-safe: used by one flush at a time.
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
        self._meanings: dict[tuple[str, str], Meaning] = {}

    def refresh(self, *, at_least_every_s: float | None = None) -> None:
        """Load again if what is known is older than the refresh interval, or than ``at_least_every_s``."""
        age = self._monotonic() - self._loaded_at
        if age >= (self._refresh_s if at_least_every_s is None else at_least_every_s):
            self._tenants = self._load()
            self._meanings.clear()
            self._loaded_at = self._monotonic()

    def time_zone(self, tenant_id: str) -> str | None:
        """The tenant's time zone; None for an unknown tenant."""
        tenant = self._tenants.get(tenant_id)
        return tenant.time_zone if tenant else None

    def meaning(self, tenant_id: str, outcome: str, received_at_ms: int) -> Meaning | None:
        """What an outcome meant to a tenant when the broker received the event; None if it meant nothing."""
        known = self._meanings.get((tenant_id, outcome))
        if known is not None:
            return known
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            return None
        outcome_type = classify(outcome, received_at_ms, tenant.outcomes)
        if outcome_type is None:
            return None
        meaning = _meaning_of(outcome_type)
        if len(tenant.outcomes[outcome]) == 1 and outcome_type.effective_at_ms == 0:
            self._meanings[tenant_id, outcome] = meaning  # holds for all times
        return meaning

    def valid_outcomes(self, tenant_id: str) -> list[str]:
        """What a producer may send for a tenant, for error texts."""
        tenant = self._tenants.get(tenant_id)
        return sorted(tenant.outcomes) if tenant else []


def _meaning_of(outcome_type: OutcomeType) -> Meaning:
    return Meaning(
        outcome_type.classification.value,
        outcome_type.category.value,
        outcome_type.is_conversion,
        default_direction(outcome_type.category),
        outcome_type.allows_negative_value,
    )
