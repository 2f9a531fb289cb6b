"""Query for the contact facts of a customer, and its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from rapport.domain.decisions.facts import Counts, Subject
from rapport.domain.periods import DAY_MS

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import MetricDefinition
    from rapport.domain.customers.customer import CustomerRef
    from rapport.domain.decisions.windows import Window

NO_COUNTS: Final = Counts()


class SummaryRowKey(NamedTuple):
    """Key of an all-time summary row: its subject, its source and one of the customer's ids."""

    subject: Subject
    source: str
    customer_id: str


class Exposure(NamedTuple):
    """Item of a recommendation, by its rank, that the customer has seen."""

    recommendation_id: str
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsQuery:
    """Query for the contact facts of one customer.

    Attributes:
        time_zone: IANA name of the tenant's zone.
        customer_zone: IANA name of the customer's zone; None if unknown.
        now_ms: End of all windows, epoch milliseconds.
        outcomes: Outcomes whose latest times are returned.
        outcome_days: Reach of ``outcomes`` into the past; None for no limit. Older outcomes do not matter.
        contact_days: Reach of the latest contacts into the past; older contacts do not matter.
        metrics: Metrics of the tenant to evaluate.
        exposures: Ids of recommendations of which the seen items are returned.
        members: All ids of the person; empty if ``customer_id`` is the only one.
    """

    tenant_id: str
    customer_id: str
    time_zone: str
    now_ms: int
    customer_zone: str | None = None
    windows: frozenset[Window] = frozenset()
    outcomes: frozenset[str] = frozenset()
    outcome_days: float | None = None
    contact_days: float = 0.0
    metrics: Sequence[MetricDefinition] = ()
    exposures: frozenset[str] = frozenset()
    members: tuple[str, ...] = ()

    @property
    def customers(self) -> Iterator[CustomerRef]:
        """All ids of the customer, each with the tenant."""
        return ((self.tenant_id, member) for member in self.members or (self.customer_id,))

    @property
    def first_contact_ms(self) -> int:
        """Time from which on the latest contact matters, epoch milliseconds."""
        return self.days_before(self.contact_days)

    @property
    def first_outcome_ms(self) -> int:
        """Time from which on outcomes matter, epoch milliseconds."""
        return 0 if self.outcome_days is None else self.days_before(self.outcome_days)

    def days_before(self, days: float) -> int:
        """Return the time so many days before now, epoch milliseconds; never below 0."""
        return max(0, self.now_ms - round(days * DAY_MS))


@dataclass(slots=True, kw_only=True)
class FactsResult:
    """Contact facts of one customer; attributes as in :class:`rapport.domain.decisions.facts.CustomerFacts`.

    Attributes:
        applied: Offset in the row's source up to which contacts are counted, by summary row.
        exposed: Items of the queried recommendations that are counted as impressions.
    """

    counts: dict[Window, dict[Subject, Counts]] = field(default_factory=dict)
    last_contact_ms: dict[Subject, int] = field(default_factory=dict)
    last_outcome_ms: dict[tuple[str, Subject], int] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    applied: dict[SummaryRowKey, int] = field(default_factory=dict)
    exposed: set[Exposure] = field(default_factory=set)

    def add(self, window: Window, subject: Subject, more: Counts) -> None:
        """Add contacts to a window, or subtract negated ones; a subject without any contacts is removed."""
        counts = self.counts.setdefault(window, {})
        counts[subject] = counts.get(subject, NO_COUNTS).plus(more)
        if counts[subject] == NO_COUNTS:
            del counts[subject]
