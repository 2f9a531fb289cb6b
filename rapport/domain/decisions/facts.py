"""What a decision knows. Loaded before it runs, recorded with it, enough to run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from rapport.domain.profiles.suppressions import NO_ENDINGS, SuppressionEndings

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
        return Counts(
            self.impressions + other.impressions,
            self.positive + other.positive,
            self.negative + other.negative,
            self.neutral + other.neutral,
            self.converts + other.converts,
        )

    def negated(self) -> Counts:
        """What takes these contacts away when it is added."""
        return Counts(*(-count for count in self))


class ReservedImpression(NamedTuple):
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
        person_id: The canonical id, which stands for all ids of the person; empty where that is the one asked for.
        attributes: By name; what formulas call ``customer.*``.
        ignored: Names of attributes that the request sent and that were not taken for the customer's.
        segments: Ids or names of the segments the customer is in.
        metrics: Values of behavioral metrics by key.
        time_zone: IANA name; None where it is not known, and then the tenant's counts.
        unknown_zone: What it is said to be, where that is none.
        counts: Contacts per window and subject.
        last_contact_ms: The latest contact per subject.
        last_outcome_ms: The latest event per outcome and subject.
        reservations: Exposures that are not in the counts.
        withheld: Purposes for which the customer may not be contacted, see :mod:`rapport.domain.profiles.consent`.
        objections: Why the customer may not be contacted at all, as the contact profiles say.
        endings: What ends suppressions besides time.
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
    """What a decision needs beyond the customer.

    Attributes:
        tenant_id: Part of what decides who is held out.
        time_zone: IANA name.
        shown_today: Impressions of an offer since the tenant's midnight, over all customers.
        shown: Impressions of an offer ever.
        mean_shown: Impressions of an offer ever, on average over the offers that have any.
        evidence: By level and id: ("offer", id), ("category", id), ("channel", id), ("global", "").
        holdout_percent: Share of customers who get the fallback.
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
