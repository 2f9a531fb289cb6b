"""Exposures that decisions have promised themselves and that the tables do not show yet.

The invariant: at any moment, for any number of simultaneous requests for one customer,

    contacts in the facts of a decision  +  reservations that these facts do not show  >=  what the customer has been,
    or still may be, shown because of decisions before it,

and nothing is on the left side twice. So a cap that a decision finds open is open, and one that it finds used up is.

It holds because of three things:

* Between reading facts and reserving what it decides, a decision has the customer for itself (:mod:`.book`).
* What a reservation stands for is in the facts or it is not, and the facts say which: those of one customer are one
  state of the stream (:mod:`rapport.storage.decision_facts`). An impression that was written together with the decision
  has a known place in the log, and the summary row of its subject says how far it reaches into that log. An impression
  that somebody else reports names the recommendation and the rank, and is looked for in the history.
* A reservation lapses when no impression has followed in time. Whether one has followed is known only once the stream
  has got as far as that time, so it waits for the stream, for up to a day.

An exposure whose impression is still to be reported may happen at any time from now on, so it counts in every window
that ends now; midnight does not end it, its impression would be one of the new day. The one that was written with the
decision counts where its own time lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from rapport.domain.decisions.contact_facts import Exposure, FactsResult, SummaryRowKey
from rapport.domain.decisions.facts import ReservedImpression, Subject
from rapport.domain.periods import DAY_MS

if TYPE_CHECKING:
    from rapport.domain.decisions.decision import DecisionItem

WAITS_FOR_STREAM_MS: Final = DAY_MS


class ReservedItem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One item of a recommendation.

    Attributes:
        is_written: Whether its impression was written together with the decision.
    """

    rank: int
    offer_id: str
    creative_id: str
    channel_id: str
    is_written: bool

    @property
    def subject(self) -> Subject:
        """How its impression will be counted."""
        return Subject(self.offer_id, self.creative_id, self.channel_id)


class Reservation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The reservation of one recommendation.

    Attributes:
        lapses_at_ms: When it lapses if no impression has followed, epoch milliseconds.
        source: The log that has the decision; empty until Kafka has taken it.
        offset: Where it is in that log.
        customer_id: The id that the decision was asked for; a person may have several.
    """

    recommendation_id: str
    at_ms: int
    lapses_at_ms: int
    exposures: tuple[ReservedItem, ...]
    source: str = ""
    offset: int = -1
    customer_id: str = ""

    def needs_history(self) -> bool:
        """Whether the history has to say what of it was shown."""
        return not self.source or any(not one.is_written for one in self.exposures)

    def has_lapsed(self, now_ms: int, fresh_ms: int | None) -> bool:
        """Whether no impression has followed in time, as far as that is known.

        Args:
            now_ms: Epoch milliseconds.
            fresh_ms: Everything in the log until then is in the tables; None if that is not known.
        """
        if now_ms < self.lapses_at_ms:
            return False
        is_known = fresh_ms is not None and fresh_ms >= self.lapses_at_ms
        return is_known or now_ms >= self.lapses_at_ms + WAITS_FOR_STREAM_MS

    def open_exposures(self, facts: FactsResult) -> Iterator[ReservedItem]:
        """What of it the facts do not show."""
        for one in self.exposures:
            if one.is_written and self.source:
                is_shown = (
                    facts.applied.get(SummaryRowKey(one.subject, self.source, self.customer_id), -1) >= self.offset
                )
            else:
                is_shown = Exposure(self.recommendation_id, one.rank) in facts.exposed
            if not is_shown:
                yield one


@dataclass(frozen=True, slots=True)
class ReservationSplit:
    """The holds of a customer in the light of some facts.

    Attributes:
        reservations: What is open.
        finished: Recommendations of which nothing is.
    """

    reservations: Sequence[ReservedImpression]
    finished: frozenset[str]


def split_reservations(
    holds: Iterable[Reservation], facts: FactsResult, now_ms: int, fresh_ms: int | None
) -> ReservationSplit:
    """Tell the holds that still count from those that are shown or have lapsed.

    Args:
        holds: Of one customer.
        facts: Of the same, read after the holds.
        now_ms: Epoch milliseconds.
        fresh_ms: As it was known before the facts were read.
    """
    reservations: list[ReservedImpression] = []
    finished: set[str] = set()
    for hold in holds:
        found = () if hold.has_lapsed(now_ms, fresh_ms) else tuple(hold.open_exposures(facts))
        reservations += [ReservedImpression(one.subject, hold.at_ms if one.is_written else now_ms) for one in found]
        if not found:
            finished.add(hold.recommendation_id)
    return ReservationSplit(reservations, frozenset(finished))


def make_reservation(
    recommendation_id: str,
    customer_id: str,
    items: Sequence[DecisionItem],
    implicit: frozenset[str],
    at_ms: int,
    lapses_at_ms: int,
) -> Reservation:
    """Reserve what a decision shows.

    Args:
        recommendation_id: Of the decision.
        customer_id: Whom it was asked for.
        items: What it shows.
        implicit: Channels whose impressions are written together with the decision.
        at_ms: When it was made.
        lapses_at_ms: When the reservation lapses.
    """
    return Reservation(
        recommendation_id,
        at_ms,
        lapses_at_ms,
        tuple(
            ReservedItem(
                item.rank, item.offer_id, item.creative_id or "", item.channel_id or "", item.channel_id in implicit
            )
            for item in items
        ),
        customer_id=customer_id,
    )
