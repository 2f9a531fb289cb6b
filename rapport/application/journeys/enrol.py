"""Enrolment of customers in journeys by events."""

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
from rapport.domain.journeys.entry import EntryEvent, matches_condition
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


def enrol_by_events(store: Store, cache: JourneyCache, events: Iterable[EntryEvent], now_ms: int) -> int:
    """Enrol customers in the journeys whose entry conditions some events fulfil.

    The same events again enrol nobody again, a person with several ids is enrolled once, and events from before an
    erasure do not count. Where a journey allows re-entry, two events that two workers process at the same moment may
    both enrol a customer.

    Args:
        store: The database.
        cache: The journeys.
        events: Accepted events, in the order of each log.
        now_ms: Time of the enrolment, epoch milliseconds.

    Returns:
        Number of enrolments.
    """
    entries: defaultdict[str, list[JourneyEntry]] = defaultdict(list)
    for entry in cache.entries:
        entries[entry.tenant_id].append(entry)
    candidates = [
        EntryCandidate(entry, event)
        for event in events
        for entry in entries.get(event.tenant_id, ())
        if event.received_at_ms >= entry.since_ms
        and entry.plan.condition
        and matches_condition(entry.plan.condition, event)
    ]
    erasures = read_erasures(store, {(one.event.tenant_id, one.event.customer_id) for one in candidates})
    candidates = [
        one
        for one in candidates
        if one.event.received_at_ms > erasures.get((one.event.tenant_id, one.event.customer_id), -1)
    ]
    people = MergedPeople(store, {one.event.tenant_id for one in candidates})
    candidates = [one.with_canonical_id(people) for one in candidates]
    before = people.count_active({one.key for one in candidates})
    allowed = [one for one in candidates if one.may_enter(before)]
    chosen: dict[tuple[str, str, str], EntryCandidate] = {}
    for one in _filter_by_formula(store, cache, allowed, now_ms):
        chosen.setdefault(one.key, one)
    return len(append_enrolments(store, [one.enrol(now_ms) for one in chosen.values()]))


class EntryCandidate(NamedTuple):
    """A customer who may enter a journey by an event."""

    entry: JourneyEntry
    event: EntryEvent

    @property
    def key(self) -> tuple[str, str, str]:
        """Tenant, customer and journey."""
        return self.event.tenant_id, self.event.customer_id, self.entry.plan.journey_id

    def with_canonical_id(self, people: MergedPeople) -> EntryCandidate:
        """Return the candidate with the person's canonical id: a person with several ids is enrolled once."""
        event = self.event
        canonical_id = people.members(event.tenant_id, event.customer_id)[0]
        return (
            self if canonical_id == event.customer_id else self._replace(event=replace(event, customer_id=canonical_id))
        )

    def may_enter(self, active: Mapping[tuple[str, str, str], int]) -> bool:
        """Return whether the customer is not in the journey and, where it allows no re-entry, never was."""
        return active.get(self.key, 0) == 0 if self.entry.plan.allows_reentry else self.key not in active

    def enrol(self, now_ms: int) -> TenantEnrolment:
        """Build the enrolment at its start."""
        plan, event = self.entry.plan, self.event
        entry_event_id = event.id if plan.allows_reentry else ""
        name = make_enrolment_id(event.tenant_id, plan.journey_id, event.customer_id, entry_event_id)
        return TenantEnrolment(event.tenant_id, enrol(plan, name, event.customer_id, event.fields, now_ms))


def _filter_by_formula(
    store: Store, cache: JourneyCache, candidates: Sequence[EntryCandidate], now_ms: int
) -> list[EntryCandidate]:
    """Return the candidates whose entry formula is true or absent, in their order."""
    facts: dict[tuple[str, str], JourneyFacts] = {}
    with_formula = [one for one in candidates if one.entry.plan.entry is not None]
    for tenant_id in {one.event.tenant_id for one in with_formula}:
        mine = [one for one in with_formula if one.event.tenant_id == tenant_id]
        customers = sorted({one.event.customer_id for one in mine})
        metrics = {key for one in mine for key in one.entry.plan.metrics}
        facts |= _read_facts(store, cache, tenant_id, customers, metrics, now_ms)
    return [one for one in candidates if _fulfils_formula(one, facts, now_ms)]


def _read_facts(
    store: Store, cache: JourneyCache, tenant_id: str, customers: Sequence[str], metrics: set[str], now_ms: int
) -> dict[tuple[str, str], JourneyFacts]:
    """Load facts of customers; customers whose facts cannot be loaded are found by bisection, and left out."""
    try:
        config = cache.load_configuration(tenant_id)
        found = load_facts(store, config.tenant, config.catalogue, customers, metrics, now_ms)
    except TransientStorageError:
        raise
    except Exception:
        if len(customers) == 1:
            log.exception("a customer does not enter journeys: nothing can be read of it", tenant_id=tenant_id)
            return {}
        half = len(customers) // 2
        first, second = customers[:half], customers[half:]
        return _read_facts(store, cache, tenant_id, first, metrics, now_ms) | _read_facts(
            store, cache, tenant_id, second, metrics, now_ms
        )
    return {(tenant_id, name): customer_facts for name, customer_facts in found.items()}


def _fulfils_formula(candidate: EntryCandidate, facts: Mapping[tuple[str, str], JourneyFacts], now_ms: int) -> bool:
    formula = candidate.entry.plan.entry
    if formula is None:
        return True
    enrolment = candidate.enrol(now_ms).enrolment
    known = facts.get((candidate.event.tenant_id, candidate.event.customer_id))
    if known is None:
        return False
    return bool(to_truth(formula.evaluate(lambda name: look_up_field(name, enrolment, known, now_ms))))
