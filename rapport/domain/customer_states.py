"""Customer state: all that decisions read of one customer, kept as one value and advanced as the stream goes on.

A state is loaded from the tables once. Every batch of the stream then adds a :class:`StateDelta`, the rows and events
that it has written of the customer, and :func:`advance` merges it in. The law: an advanced state gives the same facts
as one that is loaded afresh. It holds because a summary row of a higher applied offset replaces one of a lower, a row
of closed blocks put together replaces all that it counts, and an event is known by its id: merging is idempotent and
needs no order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rapport.domain.customers.customer import CustomerSnapshot
from rapport.domain.metrics import StoredEvent
from rapport.domain.periods import PeriodType, make_period_key
from rapport.domain.profiles.contact import NO_OBJECTIONS, ContactObjections
from rapport.domain.profiles.suppressions import SuppressionEndings
from rapport.domain.summaries import StoredSummary, add_blocks_up

if TYPE_CHECKING:
    from rapport.domain.customers.customer import CustomerKey

MAX_EVENTS: Final = 300
"""Events in a state; of customers with more the oldest are left out, and who needs them asks the tables."""
MAX_ROWS: Final = 3_000
"""Summary rows in a state; customers with more have none."""
NEVER_MS: Final = 1 << 62
"""Start of the history of a state that has no events, though the customer has."""
_KEY_COLUMNS: Final = 9


class StateDelta(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Summary rows and events of one customer that one batch of one source has written."""

    customer_id: str
    rows: list[StoredSummary]
    events: list[StoredEvent]


class CustomerState(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """State of one customer id.

    Attributes:
        today: Calendar day, in the tenant's time zone, of loading; rows of periods that ended before it are left out.
        rows: The newest version of each summary row, for each block of each source.
        events: Events in no order.
        events_from_ms: All events that occurred from this time on are there, epoch milliseconds; 0 for all of them.
        asked_from_ms: Time from which on events were asked for when the state was loaded; those that did not fit are
            not there. Another load helps only who needs earlier ones.
        memberships: Time of entry by segment, inactive segments included.
    """

    tenant_id: str
    customer_id: str
    time_zone: str
    today: date
    rows: list[StoredSummary]
    events: list[StoredEvent]
    events_from_ms: int
    asked_from_ms: int
    attributes: dict[str, Any] | None
    consents: dict[str, str]
    objections: ContactObjections
    granted_ms: dict[str, int]
    lifted_ms: dict[tuple[str, str], int]
    memberships: dict[str, int]

    @property
    def snapshot(self) -> CustomerSnapshot:
        """The stored snapshot of the customer."""
        endings = SuppressionEndings(granted_ms=self.granted_ms, lifted_ms=self.lifted_ms)
        return CustomerSnapshot(self.attributes, self.consents, self.objections, endings)

    def is_of(self, key: CustomerKey, time_zone: str) -> bool:
        """Return whether this is a customer's state, with the periods of a time zone.

        The ids of two customers that differ in the case of an e-mail address share one place.
        """
        return (self.tenant_id, self.customer_id) == key and self.time_zone == time_zone


def make_state(
    key: CustomerKey,
    *,
    time_zone: str,
    today: date,
    rows: Sequence[StoredSummary] = (),
    events: Sequence[StoredEvent] = (),
    events_from_ms: int = 0,
    asked_from_ms: int = 0,
    snapshot: CustomerSnapshot | None = None,
    memberships: Mapping[str, int] | None = None,
) -> CustomerState:
    """Make a state of what was read from the tables; arguments are the attributes of :class:`CustomerState`."""
    snapshot = snapshot or CustomerSnapshot(None, {}, NO_OBJECTIONS)
    return CustomerState(
        tenant_id=key.tenant_id,
        customer_id=key.customer_id,
        time_zone=time_zone,
        today=today,
        rows=list(rows),
        events=list(events),
        events_from_ms=events_from_ms,
        asked_from_ms=asked_from_ms,
        attributes=None if snapshot.attributes is None else dict(snapshot.attributes),
        consents=dict(snapshot.consents),
        objections=snapshot.objections,
        granted_ms=dict(snapshot.endings.granted_ms),
        lifted_ms=dict(snapshot.endings.lifted_ms),
        memberships=dict(memberships or {}),
    )


def advance(state: CustomerState, deltas: Sequence[StateDelta]) -> CustomerState:
    """Merge what batches have written of the customer into a state.

    The order does not matter, nor what is in the state already. Deltas of other customers are left out: their ids may
    share the place of the state.
    """
    own = [delta for delta in deltas if delta.customer_id == state.customer_id]
    if not own:
        return state
    rows = {row[:_KEY_COLUMNS]: row for row in state.rows}
    events = {event.id: event for event in state.events}
    for delta in own:
        for row in _select_current(delta.rows, state.today):
            key = row[:_KEY_COLUMNS]
            if key not in rows or row.applied_offset > rows[key].applied_offset:
                rows[key] = row
        for event in delta.events:
            if event.occurred_ms >= state.events_from_ms:
                events.setdefault(event.id, event)
    kept, from_ms = keep_latest_events(list(events.values()), state.events_from_ms)
    return msgspec.structs.replace(state, rows=_drop_counted(rows.values()), events=kept, events_from_ms=from_ms)


def _drop_counted(rows: Iterable[StoredSummary]) -> list[StoredSummary]:
    """Drop rows of blocks that are counted in block 0 already: it counts everything up to its applied offset."""
    rows = list(rows)
    reached = {row.subject: row.applied_offset for row in rows if not row.block}
    return [row for row in rows if not row.block or row.applied_offset > reached.get(row.subject, -1)]


def is_equivalent(one: CustomerState, other: CustomerState) -> bool:
    """Return whether two states of one customer give the same facts: what only one has kept does not matter."""
    if one.time_zone != other.time_zone:
        return False
    today, from_ms = max(one.today, other.today), max(one.events_from_ms, other.events_from_ms)
    return _select_facts(one, today, from_ms) == _select_facts(other, today, from_ms)


def _select_facts(state: CustomerState, today: date, from_ms: int) -> tuple[object, ...]:
    rows: dict[tuple[str, ...], list[StoredSummary]] = {}
    for row in _select_current(state.rows, today):
        rows.setdefault(row.subject, []).append(row)
    added_up = {subject: add_blocks_up(blocks) for subject, blocks in rows.items()}
    events = {event.id: event for event in state.events if event.occurred_ms >= from_ms}
    counted = {subject: counts for subject, counts in added_up.items() if counts is not None}
    return counted, events, state.snapshot, state.memberships


def _select_current(rows: Iterable[StoredSummary], today: date) -> list[StoredSummary]:
    """Select the rows of periods that have not ended before a day."""
    first_keys = {kind.value: make_period_key(kind, today) for kind in PeriodType}
    return [row for row in rows if row.period_key >= first_keys[row.period_type]]


def keep_latest_events(events: list[StoredEvent], from_ms: int) -> tuple[list[StoredEvent], int]:
    """Keep at most :data:`MAX_EVENTS` events, the latest, and return from when on all events are there.

    Args:
        events: All events that occurred from a time on.
        from_ms: That time, epoch milliseconds.
    """
    if len(events) <= MAX_EVENTS:
        return events, from_ms
    # Of several events in one millisecond all or none are kept, so that the time says which are there.
    last_left_out = sorted((event.occurred_ms for event in events), reverse=True)[MAX_EVENTS]
    return [event for event in events if event.occurred_ms > last_left_out], last_left_out + 1


_encoder: Final = msgspec.msgpack.Encoder(decimal_format="string")
_decode_state: Final = msgspec.msgpack.Decoder(CustomerState).decode
_decode_deltas: Final = msgspec.msgpack.Decoder(list[StateDelta]).decode


def encode_state(state: CustomerState) -> bytes:
    """Encode a state."""
    return _encoder.encode(state)


def decode_state(value: bytes) -> CustomerState:
    """Decode a state.

    Raises:
        msgspec.DecodeError: The value was written in another form.
    """
    return _decode_state(value)


def encode_deltas(deltas: Sequence[StateDelta]) -> bytes:
    """Encode what one batch has written of the customers who share a place."""
    return _encoder.encode(deltas)


def decode_deltas(value: bytes) -> list[StateDelta]:
    """Decode deltas.

    Raises:
        msgspec.DecodeError: The value was written in another form.
    """
    return _decode_deltas(value)
