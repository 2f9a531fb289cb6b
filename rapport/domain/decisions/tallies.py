"""A customer's contacts added up by what they were about, so that asking for one offer of many costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from rapport.domain.decisions.facts import Counts, CustomerFacts, Selection, Subject

if TYPE_CHECKING:
    from rapport.domain.decisions.windows import Window

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Index(Generic[T]):
    """Values of subjects, combined per offer, per creative, per channel and over all."""

    values: Mapping[Subject, T]
    combine: Callable[[T, T], T]
    everything: T | None
    offers: Mapping[str, T]
    creatives: Mapping[str, T]
    channels: Mapping[str, T]

    def of(self, selection: Selection) -> T | None:
        """The values of all subjects in a selection, combined; None if there are none."""
        given = [
            (ids, by_id)
            for ids, by_id in (
                (selection.offers, self.offers),
                (selection.creatives, self.creatives),
                (selection.channels, self.channels),
            )
            if ids is not None
        ]
        if not given:
            return self.everything
        if len(given) > 1:
            return _combine((value for one, value in self.values.items() if selection.covers(one)), self.combine)
        ids, by_id = given[0]
        if len(ids) == 1:
            return by_id.get(next(iter(ids)))
        return _combine((by_id[one] for one in ids & by_id.keys()), self.combine)


def index_values(values: Mapping[Subject, T], combine: Callable[[T, T], T]) -> Index[T]:
    """Combine values.

    Args:
        values: By subject.
        combine: In any order, with the same result.
    """
    offers: dict[str, T] = {}
    creatives: dict[str, T] = {}
    channels: dict[str, T] = {}
    for subject, value in values.items():
        for by_id, one in zip((offers, creatives, channels), subject, strict=True):
            by_id[one] = combine(by_id[one], value) if one in by_id else value
    return Index(values, combine, _combine(values.values(), combine), offers, creatives, channels)


def _combine(values: Iterable[T], combine: Callable[[T, T], T]) -> T | None:
    total: T | None = None
    for value in values:
        total = value if total is None else combine(total, value)
    return total


@dataclass(slots=True)
class Tallies:
    """What is asked about a customer's contacts. Each window is worked out when it is first asked for.

    Attributes:
        picked: What this very decision is about to show, on top of what is known.
    """

    customer: CustomerFacts
    now_ms: int
    time_zone: str
    picked: Sequence[Subject] = ()
    _windows: dict[Window, Index[Counts]] = field(default_factory=dict)
    _outcomes: dict[str, Index[int]] | None = None
    _contacts: Index[int] | None = None

    def count(self, window: Window, selection: Selection) -> Counts:
        """Contacts in a window, with what is reserved as impressions."""
        index = self._windows.get(window)
        if index is None:
            index = self._windows[window] = index_values(self._counted(window), Counts.plus)
        found = index.of(selection) or Counts()
        showing = sum(map(selection.covers, self.picked))
        return found._replace(impressions=found.impressions + showing) if showing else found

    def after(self, picked: Sequence[Subject]) -> Tallies:
        """The same with some exposures of this decision."""
        return replace(self, picked=picked)

    def _counted(self, window: Window) -> Mapping[Subject, Counts]:
        counts = self.customer.counts.get(window, {})
        if not self.customer.reservations:
            return counts
        zone = self.time_zone if window.zone == "tenant" else self.customer.time_zone or self.time_zone
        start_ms, counted = window.start_ms(self.now_ms, zone), dict(counts)
        for subject, at_ms in self.customer.reservations:
            if at_ms >= start_ms:
                counted[subject] = counted.get(subject, Counts()).plus(Counts(impressions=1))
        return counted

    def latest_contact(self, selection: Selection) -> int | None:
        """When the customer was last contacted, or is about to be."""
        if self._contacts is None:
            times = dict(self.customer.last_contact_ms)
            for subject, at_ms in self.customer.reservations:
                times[subject] = max(at_ms, times.get(subject, at_ms))
            self._contacts = index_values(times, max)
        if any(map(selection.covers, self.picked)):
            return self.now_ms
        return self._contacts.of(selection)

    def latest_outcome(self, outcomes: Iterable[str], selection: Selection) -> tuple[str, int] | None:
        """The latest event with one of some outcomes: which, and when."""
        if self._outcomes is None:
            times: dict[str, dict[Subject, int]] = {}
            for (outcome, subject), then_ms in self.customer.last_outcome_ms.items():
                times.setdefault(outcome, {})[subject] = then_ms
            self._outcomes = {outcome: index_values(of_outcome, max) for outcome, of_outcome in times.items()}
        latest: tuple[int, str] | None = None
        for outcome in outcomes:
            found = self._outcomes.get(outcome)
            at_ms = found.of(selection) if found else None
            if at_ms is not None and (latest is None or (at_ms, outcome) > latest):
                latest = at_ms, outcome
        return (latest[1], latest[0]) if latest else None
