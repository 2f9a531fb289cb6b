"""One person in a journey once, whichever id the person goes by."""

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
    """Which customers of some tenants are one person."""

    def __init__(self, store: Store, tenants: Iterable[str]) -> None:
        self._store = store
        self._merges: Mapping[str, Merges] = {tenant_id: read_merges(store, tenant_id) for tenant_id in set(tenants)}

    def members(self, tenant_id: str, customer_id: str) -> tuple[str, ...]:
        """All ids of a person, the canonical one first."""
        return self._merges[tenant_id].members(customer_id)

    def count_active(self, people: Collection[JourneyCustomer]) -> Mapping[JourneyCustomer, int]:
        """Count active enrolments of people, by their canonical ids, of those who were ever in the journey."""
        active: Counter[JourneyCustomer] = Counter()
        for (tenant_id, customer_id, journey_id), count in self.count_by_id(people).items():
            active[tenant_id, self.members(tenant_id, customer_id)[0], journey_id] += count
        return active

    def count_by_id(self, people: Collection[JourneyCustomer]) -> Mapping[JourneyCustomer, int]:
        """Count them by each id that was ever in the journey."""
        keys = {
            (tenant_id, member, journey_id, "")
            for tenant_id, customer_id, journey_id in people
            for member in self.members(tenant_id, customer_id)
        }
        return count_active(self._store, keys)


def end_duplicate_enrolments(
    store: Store, known: JourneyCache, due: Sequence[TenantEnrolment], now_ms: int
) -> list[TenantEnrolment]:
    """End enrolments of people who came into a journey by several ids before these were merged, but for one of each.

    The one that stays is that of the canonical id, or of the first of the others; where the journey may be entered only
    once, none stays beside one that has ended. Workers that see the enrolments of one person at the same time agree.

    Returns:
        The enrolments that go on.
    """
    people = MergedPeople(store, (one.tenant_id for one in due))
    merged = {
        _journey_customer_of(one) for one in due if len(people.members(one.tenant_id, one.enrollment.customer_id)) > 1
    }
    if not merged:
        return list(due)
    active = people.count_by_id(merged)
    twins = [one for one in due if _journey_customer_of(one) in merged and _is_duplicate(one, people, active, known)]
    ended = [
        one._replace(
            enrollment=replace(leave(one.enrollment, now_ms, IN_IT_ALREADY), version=one.enrollment.version + 1)
        )
        for one in twins
    ]
    append_enrolments(store, ended)
    gone = {one.enrollment.id for one in twins}
    return [one for one in due if one.enrollment.id not in gone]


def _is_duplicate(
    one: TenantEnrolment, people: MergedPeople, active: Mapping[JourneyCustomer, int], known: JourneyCache
) -> bool:
    tenant_id, customer_id, journey_id = _journey_customer_of(one)
    try:
        is_once = not known.plan_of(tenant_id, journey_id, one.enrollment.journey_version).allows_reentry
    except NoJourneyError:
        return False  # it ends for that
    members = people.members(tenant_id, customer_id)
    for number, member in enumerate(members):
        count = active.get((tenant_id, member, journey_id))
        if member == customer_id or count is None:
            continue
        if (count > 0 and number < members.index(customer_id)) or (count == 0 and is_once):
            return True
    return False


def _journey_customer_of(one: TenantEnrolment) -> JourneyCustomer:
    return one.tenant_id, one.enrollment.customer_id, one.enrollment.journey_id
