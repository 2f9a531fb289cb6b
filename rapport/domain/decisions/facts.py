"""Facts that a decision reads: loaded before it runs and recorded with it, so that it can be replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from rapport.domain.profiles.suppressions import NO_ENDINGS, SuppressionEndings

if TYPE_CHECKING:
    from rapport.domain.decisions.windows import Window


class Subject(NamedTuple):
    """Subject of a contact: offer, creative and channel; an empty id where the contact named none."""

    offer_id: str
    creative_id: str
    channel_id: str


class Counts(NamedTuple):
    """Counts of contacts and outcomes in one window."""

    impressions: int = 0
    positive: int = 0
    negative: int = 0
    neutral: int = 0
    converts: int = 0

    def plus(self, other: Counts) -> Counts:
        """Return the sum of both."""
        return Counts(
            self.impressions + other.impressions,
            self.positive + other.positive,
            self.negative + other.negative,
            self.neutral + other.neutral,
            self.converts + other.converts,
        )

    def negate(self) -> Counts:
        """Return the counts with opposite sign: adding them subtracts these."""
        return Counts(*(-count for count in self))


class ReservedImpression(NamedTuple):
    """Impression that a decision has reserved and that the counts do not include yet.

    Attributes:
        at_ms: Time at which it counts, epoch milliseconds.
    """

    subject: Subject
    at_ms: int


class Evidence(NamedTuple):
    """Number of positive and negative answers, over all customers of a tenant."""

    positive: int = 0
    negative: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFacts:
    """Facts about the customer that a decision reads.

    Attributes:
        person_id: Canonical id of the person; empty if it equals the requested id.
        attributes: Attributes by name, ``customer.*`` in formulas.
        ignored: Names of attributes in the request that did not override stored ones.
        segments: Ids and names of the segments the customer is in.
        metrics: Values of behavioral metrics by key.
        time_zone: IANA name; None if unknown, then the tenant's zone applies.
        unknown_zone: Stored name of the zone if no such zone exists; else empty.
        counts: Contacts per window and subject.
        last_contact_ms: Time of the latest contact per subject, epoch milliseconds.
        last_outcome_ms: Time of the latest event per outcome and subject, epoch milliseconds.
        reservations: Reserved impressions that ``counts`` do not include.
        withheld: Purposes for which the customer may not be contacted, see :mod:`rapport.domain.profiles.consent`.
        objections: Reasons from the contact profiles for which the customer may not be contacted at all.
        endings: Events besides elapsed time that end suppressions.
    """

    person_id: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    segments: frozenset[str] = frozenset()
    metrics: Mapping[str, float] = field(default_factory=dict)
    time_zone: str | None = None
    unknown_zone: str = ""
    counts: Mapping[Window, Mapping[Subject, Counts]] = field(default_factory=dict)
    last_contact_ms: Mapping[Subject, int] = field(default_factory=dict)
    last_outcome_ms: Mapping[tuple[str, Subject], int] = field(default_factory=dict)
    reservations: Sequence[ReservedImpression] = ()
    withheld: frozenset[str] = frozenset()
    objections: tuple[str, ...] = ()
    endings: SuppressionEndings = NO_ENDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFacts:
    """Facts about the whole tenant that a decision reads.

    Attributes:
        tenant_id: Input of the hash that assigns customers to the holdout.
        time_zone: IANA name.
        shown_today: Impressions by offer since the tenant's midnight, over all customers.
        shown: Impressions by offer over all time and all customers.
        mean_shown: Mean of the non-zero values of ``shown``.
        evidence: Answers by level and id: ("offer", id), ("category", id), ("channel", id), ("global", "").
        holdout_percent: Share of customers who get the fallback, 0 to 100.
    """

    tenant_id: str = ""
    time_zone: str = "UTC"
    shown_today: Mapping[str, int] = field(default_factory=dict)
    shown: Mapping[str, int] = field(default_factory=dict)
    mean_shown: float = 1.0
    evidence: Mapping[tuple[str, str], Evidence] = field(default_factory=dict)
    holdout_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Set of subjects: those whose offer, creative and channel are in the given ids. None allows every id.

    Attributes:
        only_offer: Id of the offer if the selection is that of one offer's subjects; else None.
    """

    offers: frozenset[str] | None = None
    creatives: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    only_offer: str | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.offers is not None and len(self.offers) == 1 and self.creatives is None and self.channels is None:
            object.__setattr__(self, "only_offer", next(iter(self.offers)))

    def covers(self, subject: Subject) -> bool:
        """Return whether a subject is in the selection."""
        return (
            (self.offers is None or subject.offer_id in self.offers)
            and (self.creatives is None or subject.creative_id in self.creatives)
            and (self.channels is None or subject.channel_id in self.channels)
        )


EVERYTHING = Selection()
