"""Contact history of a customer, indexed by subject: a decision asks for the contacts of each of its many offers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from rapport.domain.decisions.facts import Counts, CustomerFacts, Selection, Subject

if TYPE_CHECKING:
    from rapport.domain.decisions.windows import Window

T = TypeVar("T")
_NO_CONTACTS: Final = Counts()
_get_offer_id: Final[Callable[[Subject], str]] = itemgetter(Subject._fields.index("offer_id"))


@dataclass(slots=True)
class SubjectIndex(Generic[T]):
    """Values by subject; groups by offer, creative or channel are built on the first lookup that needs them.

    Attributes:
        combine: Reduces values to one, whatever their order; a single value to itself.
    """

    values: Mapping[Subject, T]
    combine: Callable[[Collection[T]], T]
    _groups: dict[int, dict[str, list[T]]] = field(default_factory=dict)

    def select(self, selection: Selection) -> T | None:
        """Return the combined value of all subjects in a selection; None if it has none."""
        if selection.only_offer is not None:  # by far the most frequent
            of_offer = self._group(0).get(selection.only_offer)
            return self.combine(of_offer) if of_offer else None
        offers, creatives, channels = selection.offers, selection.creatives, selection.channels
        if creatives is None and channels is None:
            values = self.values.values() if offers is None else self._pick(0, offers)
        elif creatives is not None and offers is None and channels is None:
            values = self._pick(1, creatives)
        elif channels is not None and offers is None and creatives is None:
            values = self._pick(2, channels)
        else:
            values = [value for subject, value in self.values.items() if selection.covers(subject)]
        return self.combine(values) if values else None

    def _pick(self, axis: int, ids: frozenset[str]) -> Collection[T]:
        groups = self._group(axis)
        if len(ids) == 1:
            (only,) = ids
            return groups.get(only, ())
        return [value for subject_id in ids & groups.keys() for value in groups[subject_id]]

    def _group(self, axis: int) -> Mapping[str, list[T]]:
        groups = self._groups.get(axis)
        if groups is None:
            groups = self._groups[axis] = {}
            for subject, value in self.values.items():
                groups.setdefault(subject[axis], []).append(value)
        return groups


def _sum_counts(counts: Collection[Counts]) -> Counts:
    if len(counts) == 1:
        (only,) = counts
        return only
    return Counts(*map(sum, zip(*counts, strict=True)))


@dataclass(slots=True)
class ContactHistory:
    """Contact history of a customer in one decision. Each window is indexed when it is first needed.

    Attributes:
        shown: Subjects that this decision has already chosen to show; each counts as an impression.
        known_offers: Ids of the offers that any contact, outcome or reservation of the customer is about; in a copy
            with ``shown`` subjects, those of these: only rules about them can give another verdict than before.
    """

    customer: CustomerFacts
    now_ms: int
    time_zone: str
    shown: Sequence[Subject] = ()
    known_offers: frozenset[str] = frozenset()
    _windows: dict[Window, SubjectIndex[Counts]] = field(default_factory=dict)
    _outcomes: dict[str, SubjectIndex[int]] | None = None
    _contacts: SubjectIndex[int] | None = None

    @classmethod
    def from_facts(cls, customer: CustomerFacts, now_ms: int, time_zone: str) -> ContactHistory:
        """Build the history of a customer; windows end at ``now_ms``, ``time_zone`` is the tenant's."""
        known = set(map(_get_offer_id, customer.last_contact_ms))
        for counts in customer.counts.values():
            known.update(map(_get_offer_id, counts))
        known.update(subject.offer_id for _, subject in customer.last_outcome_ms)
        known.update(reservation.subject.offer_id for reservation in customer.reservations)
        return cls(customer, now_ms, time_zone, known_offers=frozenset(known))

    def count(self, window: Window, selection: Selection) -> Counts:
        """Count the contacts in a window; reserved impressions count as impressions."""
        index = self._windows.get(window)
        if index is None:
            index = self._windows[window] = SubjectIndex(self._count_with_reserved(window), _sum_counts)
        counts = index.select(selection) or _NO_CONTACTS
        shown = sum(map(selection.covers, self.shown)) if self.shown else 0
        return counts.plus(Counts(impressions=shown)) if shown else counts

    def with_shown(self, shown: Sequence[Subject]) -> ContactHistory:
        """Return a copy in which some subjects are shown by this decision."""
        return replace(self, shown=shown, known_offers=frozenset(subject.offer_id for subject in shown))

    def _count_with_reserved(self, window: Window) -> Mapping[Subject, Counts]:
        counts = self.customer.counts.get(window, {})
        if not self.customer.reservations:
            return counts
        zone = self.time_zone if window.zone == "tenant" else self.customer.time_zone or self.time_zone
        start_ms, counted = window.start_ms(self.now_ms, zone), dict(counts)
        for subject, at_ms in self.customer.reservations:
            if at_ms >= start_ms:
                counted[subject] = counted.get(subject, Counts()).plus(Counts(impressions=1))
        return counted

    def find_latest_contact(self, selection: Selection) -> int | None:
        """Return the time of the latest contact, epoch milliseconds; reserved and shown impressions are contacts."""
        if self._contacts is None:
            times = dict(self.customer.last_contact_ms)
            for subject, at_ms in self.customer.reservations:
                times[subject] = max(at_ms, times.get(subject, at_ms))
            self._contacts = SubjectIndex(times, max)
        if self.shown and any(map(selection.covers, self.shown)):
            return self.now_ms
        return self._contacts.select(selection)

    def find_latest_outcome(self, outcomes: Iterable[str], selection: Selection) -> tuple[str, int] | None:
        """Return the outcome and the time (epoch milliseconds) of the latest event with one of some outcomes."""
        if self._outcomes is None:
            times: dict[str, dict[Subject, int]] = {}
            for (outcome, subject), then_ms in self.customer.last_outcome_ms.items():
                times.setdefault(outcome, {})[subject] = then_ms
            self._outcomes = {outcome: SubjectIndex(of_outcome, max) for outcome, of_outcome in times.items()}
        latest: tuple[int, str] | None = None
        for outcome in outcomes:
            index = self._outcomes.get(outcome)
            at_ms = index.select(selection) if index else None
            if at_ms is not None and (latest is None or (at_ms, outcome) > latest):
                latest = at_ms, outcome
        return (latest[1], latest[0]) if latest else None
