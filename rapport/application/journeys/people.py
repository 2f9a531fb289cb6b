"""People with several ids in journeys: one enrolment per person."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from rapport.application.journeys.journey_cache import NoJourneyError
from rapport.domain.journeys.progress import leave
from rapport.storage.identity import read_merges
from rapport.storage.journeys import TenantEnrolment, append_enrolments, count_active

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from rapport.application.journeys.journey_cache import JourneyCache
    from rapport.domain.profiles.identity import Merges
    from rapport.storage.client import Store

    JourneyCustomer = tuple[str, str, str]
    """Tenant, customer and journey."""

IN_IT_ALREADY: Final = "the person is, or was, in the journey by another id"


class MergedPeople:
    """Merged customers of some tenants."""

    def __init__(self, store: Store, tenants: Iterable[str]) -> None:
        self._store = store
        self._merges: Mapping[str, Merges] = {tenant_id: read_merges(store, tenant_id) for tenant_id in set(tenants)}

    def members(self, tenant_id: str, customer_id: str) -> tuple[str, ...]:
        """Return all ids of a person, the canonical one first."""
        return self._merges[tenant_id].members(customer_id)

    def count_active(self, people: Collection[JourneyCustomer]) -> Mapping[JourneyCustomer, int]:
        """Count active enrolments of people, by their canonical ids, of those who were ever in the journey."""
        active: Counter[JourneyCustomer] = Counter()
        for (tenant_id, customer_id, journey_id), count in self.count_by_id(people).items():
            active[tenant_id, self.members(tenant_id, customer_id)[0], journey_id] += count
        return active

    def count_by_id(self, people: Collection[JourneyCustomer]) -> Mapping[JourneyCustomer, int]:
        """Count active enrolments by each id that was ever in the journey."""
        keys = {
            (tenant_id, member, journey_id, "")
            for tenant_id, customer_id, journey_id in people
            for member in self.members(tenant_id, customer_id)
        }
        return count_active(self._store, keys)


def end_duplicate_enrolments(
    store: Store, cache: JourneyCache, due: Sequence[TenantEnrolment], now_ms: int
) -> list[TenantEnrolment]:
    """End duplicate enrolments of people who entered a journey by several ids before these were merged.

    The enrolment that stays is that of the canonical id, or of the first of the others; where the journey allows no
    re-entry, none stays beside one that has ended. Workers that process a person's enrolments at the same time agree.

    Returns:
        The enrolments that continue.
    """
    people = MergedPeople(store, (one.tenant_id for one in due))
    merged = {_build_key(one) for one in due if len(people.members(one.tenant_id, one.enrolment.customer_id)) > 1}
    if not merged:
        return list(due)
    active = people.count_by_id(merged)
    twins = [one for one in due if _build_key(one) in merged and _is_duplicate(one, people, active, cache)]
    ended = [
        one._replace(enrolment=replace(leave(one.enrolment, now_ms, IN_IT_ALREADY), version=one.enrolment.version + 1))
        for one in twins
    ]
    append_enrolments(store, ended)
    gone = {one.enrolment.id for one in twins}
    return [one for one in due if one.enrolment.id not in gone]


def _is_duplicate(
    one: TenantEnrolment, people: MergedPeople, active: Mapping[JourneyCustomer, int], cache: JourneyCache
) -> bool:
    tenant_id, customer_id, journey_id = _build_key(one)
    try:
        is_once = not cache.load_plan(tenant_id, journey_id, one.enrolment.journey_version).allows_reentry
    except NoJourneyError:
        return False  # the enrolment ends because of that
    members = people.members(tenant_id, customer_id)
    for number, member in enumerate(members):
        count = active.get((tenant_id, member, journey_id))
        if member == customer_id or count is None:
            continue
        if (count > 0 and number < members.index(customer_id)) or (count == 0 and is_once):
            return True
    return False


def _build_key(one: TenantEnrolment) -> JourneyCustomer:
    return one.tenant_id, one.enrolment.customer_id, one.enrolment.journey_id
