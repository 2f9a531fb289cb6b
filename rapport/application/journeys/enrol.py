"""Customers enter journeys: by events, and by name."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import structlog

from rapport.application.journeys.journey_cache import JourneyEntry
from rapport.application.journeys.load_facts import load_facts
from rapport.application.journeys.people import MergedPeople
from rapport.domain.formulas.values import to_truth
from rapport.domain.journeys.enrolment import make_enrolment_id
from rapport.domain.journeys.entry import EntryEvent, matches
from rapport.domain.journeys.progress import enrol, look_up_field
from rapport.storage.errors import TransientStorageError
from rapport.storage.journeys import TenantEnrolment, append_enrolments
from rapport.storage.tombstones import read_erasures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rapport.application.journeys.journey_cache import JourneyCache
    from rapport.domain.journeys.progress import JourneyFacts
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)


def enrol_by_events(store: Store, known: JourneyCache, events: Iterable[EntryEvent], now_ms: int) -> int:
    """Have customers enter the journeys whose entry conditions some events fulfil.

    The same events again let nobody enter again, a person who goes by several ids enters once, and what happened before
    an erasure lets the erased enter nowhere. Where a journey allows re-entry, two events that two workers see at the
    same moment may both let a customer in.

    Args:
        store: Where.
        known: The journeys.
        events: Accepted ones, in the order of each log.
        now_ms: When they enter, epoch milliseconds.

    Returns:
        How many have entered.
    """
    entries: defaultdict[str, list[JourneyEntry]] = defaultdict(list)
    for entry in known.entries:
        entries[entry.tenant_id].append(entry)
    meant = [
        EntryCandidate(entry, event)
        for event in events
        for entry in entries.get(event.tenant_id, ())
        if event.received_at_ms >= entry.since_ms and entry.plan.condition and matches(entry.plan.condition, event)
    ]
    erasures = read_erasures(store, {(one.event.tenant_id, one.event.customer_id) for one in meant})
    meant = [
        one
        for one in meant
        if one.event.received_at_ms > erasures.get((one.event.tenant_id, one.event.customer_id), -1)
    ]
    people = MergedPeople(store, {one.event.tenant_id for one in meant})
    meant = [one.of(people) for one in meant]
    before = people.count_active({one.who for one in meant})
    allowed = [one for one in meant if one.may_enter(before)]
    chosen: dict[tuple[str, str, str], EntryCandidate] = {}
    for one in _filter_by_formula(store, known, allowed, now_ms):
        chosen.setdefault(one.who, one)
    return len(append_enrolments(store, [one.enrolled(now_ms) for one in chosen.values()]))


class EntryCandidate(NamedTuple):
    """A customer who may enter a journey by an event."""

    entry: JourneyEntry
    event: EntryEvent

    @property
    def who(self) -> tuple[str, str, str]:
        """Tenant, customer and journey."""
        return self.event.tenant_id, self.event.customer_id, self.entry.plan.journey_id

    def of(self, people: MergedPeople) -> EntryCandidate:
        """The same by the person's canonical id, who enters once whichever ids the person goes by."""
        event = self.event
        canonical_id = people.members(event.tenant_id, event.customer_id)[0]
        return (
            self if canonical_id == event.customer_id else self._replace(event=replace(event, customer_id=canonical_id))
        )

    def may_enter(self, active: Mapping[tuple[str, str, str], int]) -> bool:
        """Whether the customer is not in the journey, and where it allows no re-entry never was."""
        return active.get(self.who, 0) == 0 if self.entry.plan.allows_reentry else self.who not in active

    def enrolled(self, now_ms: int) -> TenantEnrolment:
        """The enrolment, as it begins."""
        plan, event = self.entry.plan, self.event
        told_apart_by = event.id if plan.allows_reentry else ""
        name = make_enrolment_id(event.tenant_id, plan.journey_id, event.customer_id, told_apart_by)
        return TenantEnrolment(event.tenant_id, enrol(plan, name, event.customer_id, event.fields, now_ms))


def _filter_by_formula(
    store: Store, known: JourneyCache, meant: Sequence[EntryCandidate], now_ms: int
) -> list[EntryCandidate]:
    """Those whose formula is true, or that have none, in their order."""
    facts: dict[tuple[str, str], JourneyFacts] = {}
    asked = [one for one in meant if one.entry.plan.entry is not None]
    for tenant_id in {one.event.tenant_id for one in asked}:
        mine = [one for one in asked if one.event.tenant_id == tenant_id]
        customers = sorted({one.event.customer_id for one in mine})
        metrics = {key for one in mine for key in one.entry.plan.metrics}
        facts |= _read_facts(store, known, tenant_id, customers, metrics, now_ms)
    return [one for one in meant if _fulfils_formula(one, facts, now_ms)]


def _read_facts(
    store: Store, known: JourneyCache, tenant_id: str, customers: Sequence[str], metrics: set[str], now_ms: int
) -> dict[tuple[str, str], JourneyFacts]:
    """Read what is known of customers; those of whom it cannot be read are found by halving, and left out."""
    try:
        configured = known.configured(tenant_id)
        found = load_facts(store, configured.tenant, configured.catalogue, customers, metrics, now_ms)
    except TransientStorageError:
        raise
    except Exception:
        if len(customers) == 1:
            log.exception("a customer does not enter journeys: nothing can be read of it", tenant_id=tenant_id)
            return {}
        half = len(customers) // 2
        first, second = customers[:half], customers[half:]
        return _read_facts(store, known, tenant_id, first, metrics, now_ms) | _read_facts(
            store, known, tenant_id, second, metrics, now_ms
        )
    return {(tenant_id, name): each for name, each in found.items()}


def _fulfils_formula(one: EntryCandidate, facts: Mapping[tuple[str, str], JourneyFacts], now_ms: int) -> bool:
    formula = one.entry.plan.entry
    if formula is None:
        return True
    state, known = one.enrolled(now_ms).enrollment, facts.get((one.event.tenant_id, one.event.customer_id))
    if known is None:
        return False
    return bool(to_truth(formula.evaluate(lambda name: look_up_field(name, state, known, now_ms))))
