from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from pipeline.tenant_cache import OutcomeMeaning, TenantCache
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES, Classification, OutcomeCategory, OutcomeType, group_versions
from rapport.domain.tenants import Tenant

ACME = Tenant("acme", "Acme", "Europe/Berlin", group_versions(DEFAULT_OUTCOME_TYPES))
CLICK = OutcomeMeaning("positive", "response", is_conversion=False, default_direction="inbound")
UPSELL = OutcomeType(
    key="upsell", classification=Classification.POSITIVE, category=OutcomeCategory.RESPONSE, effective_at_ms=100
)


@dataclass(slots=True)
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Source:
    """A store that counts its loads."""

    tenants: dict[str, Tenant] = field(default_factory=lambda: {"acme": ACME})
    asked: int = 0
    is_away: bool = False

    def __call__(self) -> dict[str, Tenant]:
        self.asked += 1
        if self.is_away:
            raise ConnectionError
        return dict(self.tenants)


def make_tenant_cache(source: Source, clock: Clock | None = None) -> TenantCache:
    tenant_cache = TenantCache(source, refresh_s=10, monotonic=clock or Clock())
    tenant_cache.refresh()
    return tenant_cache


def test_tenants_are_loaded_once_in_the_refresh_interval():
    source, clock = Source(), Clock()
    tenant_cache = make_tenant_cache(source, clock)
    for clock.now in (1_000.0, 1_009.9):
        tenant_cache.refresh()
    assert source.asked == 1
    clock.now = 1_010.0
    tenant_cache.refresh()
    assert source.asked == 2


def test_a_fresher_load_can_be_requested():
    source, clock = Source(), Clock()
    tenant_cache = make_tenant_cache(source, clock)
    clock.now = 1_000.4
    tenant_cache.refresh(at_least_every_s=0.5)
    assert source.asked == 1
    clock.now = 1_000.5
    tenant_cache.refresh(at_least_every_s=0.5)
    assert source.asked == 2


def test_a_tenant_has_its_time_zone_and_an_unknown_tenant_has_none():
    tenant_cache = make_tenant_cache(Source())
    assert (tenant_cache.find_time_zone("acme"), tenant_cache.find_time_zone("nobody")) == ("Europe/Berlin", None)


def test_an_outcome_has_the_meaning_of_its_type():
    tenant_cache = make_tenant_cache(Source())
    assert tenant_cache.find_meaning("acme", "click", 0) == CLICK
    assert tenant_cache.find_meaning("acme", "impression", 0) == OutcomeMeaning(
        "neutral", "impression", is_conversion=False, default_direction="outbound"
    )
    assert tenant_cache.find_meaning("acme", "convert", 0) == CLICK._replace(is_conversion=True)


def test_an_unknown_outcome_or_tenant_has_no_meaning():
    tenant_cache = make_tenant_cache(Source())
    assert tenant_cache.find_meaning("acme", "nothing", 0) is None
    assert tenant_cache.find_meaning("nobody", "click", 0) is None


@pytest.mark.parametrize("order", [(99, 100, 250), (250, 100, 99)])
def test_a_changed_outcome_has_its_meaning_at_the_time_of_receipt(order: tuple[int, ...]):
    later = replace(UPSELL, classification=Classification.NEUTRAL, effective_at_ms=200)
    tenant_cache = make_tenant_cache(Source({"acme": replace(ACME, outcomes=group_versions([UPSELL, later]))}))
    meanings = {at: tenant_cache.find_meaning("acme", "upsell", at) for at in order}
    assert meanings == {99: None, 100: CLICK, 250: CLICK._replace(classification="neutral")}


def test_an_outcome_has_no_meaning_before_its_first_version():
    tenant_cache = make_tenant_cache(Source({"acme": replace(ACME, outcomes=group_versions([UPSELL]))}))
    assert [tenant_cache.find_meaning("acme", "upsell", at) for at in (100, 99, 100)] == [CLICK, None, CLICK]


def test_changes_are_seen_after_the_next_refresh():
    source, clock = Source(), Clock()
    tenant_cache = make_tenant_cache(source, clock)
    assert tenant_cache.find_meaning("acme", "click", 0) == CLICK
    gone = [replace(o, is_active=False) if o.key == "click" else o for o in DEFAULT_OUTCOME_TYPES]
    source.tenants = {"acme": replace(ACME, outcomes=group_versions(gone))}
    assert tenant_cache.find_meaning("acme", "click", 0) == CLICK
    clock.now += 10
    tenant_cache.refresh()
    assert tenant_cache.find_meaning("acme", "click", 0) is None


def test_a_failed_refresh_keeps_the_cache_and_is_repeated_at_once():
    source, clock = Source(), Clock()
    tenant_cache = make_tenant_cache(source, clock)
    clock.now += 10
    source.is_away = True
    with pytest.raises(ConnectionError):
        tenant_cache.refresh()
    assert tenant_cache.find_time_zone("acme") == "Europe/Berlin"
    source.is_away = False
    tenant_cache.refresh()
    assert source.asked == 3


def test_the_outcomes_a_producer_may_send_are_listed_for_error_texts():
    tenant_cache = make_tenant_cache(Source())
    assert tenant_cache.list_outcomes("acme") == sorted(o.key for o in DEFAULT_OUTCOME_TYPES)
    assert tenant_cache.list_outcomes("nobody") == []
