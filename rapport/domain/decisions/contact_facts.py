"""Facts of customers: which are asked for, and what is known of them."""

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
    """One summary row over all time: what it is about, of which log, and of which of a customer's ids."""

    subject: Subject
    source: str
    customer_id: str


class Exposure(NamedTuple):
    """A rank of a recommendation that the customer has seen."""

    recommendation_id: str
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsQuery:
    """Which facts of which customer.

    Attributes:
        time_zone: The tenant's.
        customer_zone: The customer's, where it is known.
        now_ms: When the windows end, epoch milliseconds.
        outcomes: Whose latest times are wanted.
        outcome_days: As far as they reach back; what is older does not matter to whoever asks.
        contact_days: As far as the latest contact matters.
        metrics: Definitions of the tenant.
        members: All ids of the customer, who is one person; empty if there is just the one.
        exposures: Recommendations of which it is asked what the customer has seen.
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
        """Every id of the customer, with the tenant."""
        return ((self.tenant_id, member) for member in self.members or (self.customer_id,))

    @property
    def first_contact_ms(self) -> int:
        """From when on the latest contact matters."""
        return self.days_before(self.contact_days)

    @property
    def first_outcome_ms(self) -> int:
        """From when on outcomes matter."""
        return 0 if self.outcome_days is None else self.days_before(self.outcome_days)

    def days_before(self, days: float) -> int:
        """So many days before now, epoch milliseconds."""
        return max(0, self.now_ms - round(days * DAY_MS))


@dataclass(slots=True, kw_only=True)
class FactsResult:
    """One customer's facts; the attributes are those of :class:`rapport.domain.decisions.facts.CustomerFacts`.

    Attributes:
        applied: The offset up to which each log's contacts are in these facts.
        exposed: What of the recommendations asked for is counted as an impression.
    """

    counts: dict[Window, dict[Subject, Counts]] = field(default_factory=dict)
    last_contact_ms: dict[Subject, int] = field(default_factory=dict)
    last_outcome_ms: dict[tuple[str, Subject], int] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    applied: dict[SummaryRowKey, int] = field(default_factory=dict)
    exposed: set[Exposure] = field(default_factory=set)

    def add(self, window: Window, subject: Subject, more: Counts) -> None:
        """Add contacts, or take them away; what has none left is not there."""
        counts = self.counts.setdefault(window, {})
        counts[subject] = counts.get(subject, NO_COUNTS).plus(more)
        if counts[subject] == NO_COUNTS:
            del counts[subject]
