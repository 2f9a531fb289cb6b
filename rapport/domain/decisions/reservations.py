"""Reservations: impressions that decisions have caused and that the summaries do not count yet.

The invariant: at any moment, for any number of concurrent requests for one customer,

    contacts in the facts of a decision  +  reservations that these facts do not include  >=  impressions that earlier
    decisions have shown, or may still show, to the customer,

and no impression is counted twice on the left side. So a cap that a decision finds open is open, and one that it finds
used up is used up.

Three rules maintain it:

* From reading facts until it has reserved its items, a decision holds an exclusive lock on the customer (the
  reservation store).
* Whether the facts include a reservation's impression can be read from the facts themselves, which are one consistent
  state of the stream (:mod:`rapport.storage.decision_facts`). An impression written together with the decision has a
  known offset in its source, and the summary row of its subject has an applied offset. An impression reported later
  carries the recommendation id and the rank, and is looked up in the history.
* A reservation lapses if no impression follows in time. That is known only when the stream has been processed up to
  that time, so a reservation waits for the stream, for at most a day.

An impression that is yet to be reported can happen at any time from now on, so it counts in every window that ends now:
midnight does not end it, because it would belong to the new day. One written with the decision counts at its own time.
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
"""Maximum time for which a reservation waits for a lagging stream before it lapses."""


class ReservedItem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Reserved item of a recommendation.

    Attributes:
        is_written: Whether its impression is written together with the decision (implicit tracking).
    """

    rank: int
    offer_id: str
    creative_id: str
    channel_id: str
    is_written: bool

    @property
    def subject(self) -> Subject:
        """Subject under which its impression will be counted."""
        return Subject(self.offer_id, self.creative_id, self.channel_id)


class Reservation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Reservation of the items of one recommendation.

    Attributes:
        at_ms: Time of the decision, epoch milliseconds.
        lapses_at_ms: Time at which it lapses if no impression has followed, epoch milliseconds.
        source: Source (cluster, topic, partition) of the decision's message; empty until Kafka has acknowledged it.
        offset: Offset of that message in the source; -1 until then.
        customer_id: Id in the request for the decision; a person may have several.
    """

    recommendation_id: str
    at_ms: int
    lapses_at_ms: int
    items: tuple[ReservedItem, ...]
    source: str = ""
    offset: int = -1
    customer_id: str = ""

    def needs_history(self) -> bool:
        """Return whether the history must be searched for its impressions."""
        return not self.source or any(not item.is_written for item in self.items)

    def has_lapsed(self, now_ms: int, fresh_ms: int | None) -> bool:
        """Return whether the time for its impressions is certainly over.

        Args:
            now_ms: Current time, epoch milliseconds.
            fresh_ms: Time up to which all events of the log are in the tables; None if unknown.
        """
        if now_ms < self.lapses_at_ms:
            return False
        is_known = fresh_ms is not None and fresh_ms >= self.lapses_at_ms
        return is_known or now_ms >= self.lapses_at_ms + WAITS_FOR_STREAM_MS

    def list_open_items(self, facts: FactsResult) -> Iterator[ReservedItem]:
        """Return the items whose impressions the facts do not include."""
        for item in self.items:
            if item.is_written and self.source:
                key = SummaryRowKey(item.subject, self.source, self.customer_id)
                is_counted = facts.applied.get(key, -1) >= self.offset
            else:
                is_counted = Exposure(self.recommendation_id, item.rank) in facts.exposed
            if not is_counted:
                yield item


@dataclass(frozen=True, slots=True)
class ReservationSplit:
    """Reservations of a customer, split by whether the facts include their impressions.

    Attributes:
        impressions: Reserved impressions that the facts do not include.
        finished: Ids of recommendations without such impressions; their reservations can be deleted.
    """

    impressions: Sequence[ReservedImpression]
    finished: frozenset[str]


def split_reservations(
    reservations: Iterable[Reservation], facts: FactsResult, now_ms: int, fresh_ms: int | None
) -> ReservationSplit:
    """Separate the reservations that still count from those that the facts include or that have lapsed.

    Args:
        reservations: Reservations of one customer.
        facts: Facts of the customer, read after the reservations.
        now_ms: Current time, epoch milliseconds.
        fresh_ms: Time up to which all events are in the tables, read before the facts; None if unknown.
    """
    impressions: list[ReservedImpression] = []
    finished: set[str] = set()
    for reservation in reservations:
        items = () if reservation.has_lapsed(now_ms, fresh_ms) else tuple(reservation.list_open_items(facts))
        impressions += [
            ReservedImpression(item.subject, reservation.at_ms if item.is_written else now_ms) for item in items
        ]
        if not items:
            finished.add(reservation.recommendation_id)
    return ReservationSplit(impressions, frozenset(finished))


def make_reservation(
    recommendation_id: str,
    customer_id: str,
    items: Sequence[DecisionItem],
    implicit: frozenset[str],
    at_ms: int,
    lapses_at_ms: int,
) -> Reservation:
    """Make the reservation of a decision's items.

    Args:
        recommendation_id: Id of the decision.
        customer_id: Id in the request for the decision.
        items: Items of the decision.
        implicit: Ids of channels whose impressions are written together with the decision.
        at_ms: Time of the decision, epoch milliseconds.
        lapses_at_ms: Time at which the reservation lapses, epoch milliseconds.
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
