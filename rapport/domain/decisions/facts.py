"""What a decision knows. Loaded before it runs, recorded with it, enough to run it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rapport.domain.decisions.windows import Window


class Subject(NamedTuple):
    """What a contact was about; empty where it named none."""

    offer_id: str
    creative_id: str
    channel_id: str


class Counts(NamedTuple):
    """Contacts in one window."""

    impressions: int = 0
    positive: int = 0
    negative: int = 0
    neutral: int = 0
    converts: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(mine + its for mine, its in zip(self, other, strict=True)))


class Reservation(NamedTuple):
    """An exposure that a decision has promised itself and that the tables do not show yet."""

    subject: Subject
    at_ms: int


class Evidence(NamedTuple):
    """What customers answered, over all of a tenant's customers."""

    positive: int = 0
    negative: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFacts:
    """One customer, as far as a decision needs.

    Attributes:
        attributes: By name; what formulas call ``customer.*``.
        segments: Ids or names of the segments the customer is in.
        metrics: Values of behavioral metrics by key.
        time_zone: IANA name; None where it is not known, and then the tenant's counts.
        counts: Contacts per window and subject.
        last_contact_ms: The latest contact per subject.
        last_outcome_ms: The latest event per outcome and subject.
        reservations: Exposures that are not in the counts.
        has_consent: Whether the customer may be contacted at all.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    segments: frozenset[str] = frozenset()
    metrics: Mapping[str, float] = field(default_factory=dict)
    time_zone: str | None = None
    counts: Mapping[Window, Mapping[Subject, Counts]] = field(default_factory=dict)
    last_contact_ms: Mapping[Subject, int] = field(default_factory=dict)
    last_outcome_ms: Mapping[tuple[str, Subject], int] = field(default_factory=dict)
    reservations: Sequence[Reservation] = ()
    has_consent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFacts:
    """What a decision needs beyond the customer.

    Attributes:
        time_zone: IANA name.
        shown_today: Impressions of an offer since the tenant's midnight, over all customers.
        shown: Impressions of an offer ever.
        evidence: By level and id: ("offer", id), ("category", id), ("channel", id), ("global", "").
        holdout_percent: Share of customers who get the fallback.
    """

    time_zone: str = "UTC"
    shown_today: Mapping[str, int] = field(default_factory=dict)
    shown: Mapping[str, int] = field(default_factory=dict)
    evidence: Mapping[tuple[str, str], Evidence] = field(default_factory=dict)
    holdout_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """The subjects that a scope covers; None covers all.

    Attributes:
        offers: Ids of offers.
    """

    offers: frozenset[str] | None = None
    creatives: frozenset[str] | None = None
    channels: frozenset[str] | None = None

    def covers(self, subject: Subject) -> bool:
        """Whether a contact about a subject counts."""
        return (
            (self.offers is None or subject.offer_id in self.offers)
            and (self.creatives is None or subject.creative_id in self.creatives)
            and (self.channels is None or subject.channel_id in self.channels)
        )


EVERYTHING = Selection()


def count(facts: CustomerFacts, window: Window, selection: Selection, now_ms: int, time_zone: str) -> Counts:
    """Contacts of a customer in a window, with what is reserved as impressions.

    Args:
        facts: The customer's.
        window: Counts are looked up by it; reservations are compared with its start.
        selection: What is counted.
        now_ms: When the window ends, epoch milliseconds.
        time_zone: The tenant's.
    """
    zone = time_zone if window.zone == "tenant" else facts.time_zone or time_zone
    start_ms = window.start_ms(now_ms, zone)
    total = Counts()
    for subject, counts in facts.counts.get(window, {}).items():
        if selection.covers(subject):
            total = total.plus(counts)
    reserved = sum(1 for r in facts.reservations if r.at_ms >= start_ms and selection.covers(r.subject))
    return total._replace(impressions=total.impressions + reserved)


def latest(times: Mapping[Subject, int], selection: Selection) -> int | None:
    """The latest of some times whose subject is covered."""
    return max(_covered(times, selection), default=None)


def latest_contact(facts: CustomerFacts, selection: Selection) -> int | None:
    """When the customer was last contacted, or is about to be."""
    reserved = (r.at_ms for r in facts.reservations if selection.covers(r.subject))
    return max((*_covered(facts.last_contact_ms, selection), *reserved), default=None)


def latest_outcome(facts: CustomerFacts, outcomes: Iterable[str], selection: Selection) -> tuple[str, int] | None:
    """The latest event with one of some outcomes: which, and when."""
    wanted = frozenset(outcomes)
    found = [
        (at_ms, outcome)
        for (outcome, subject), at_ms in facts.last_outcome_ms.items()
        if outcome in wanted and selection.covers(subject)
    ]
    if not found:
        return None
    at_ms, outcome = max(found)
    return outcome, at_ms


def _covered(times: Mapping[Subject, int], selection: Selection) -> Iterator[int]:
    return (at_ms for subject, at_ms in times.items() if selection.covers(subject))
