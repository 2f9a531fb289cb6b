"""The law of customer states: however deltas arrive, the state has what the tables have."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain import customer_states as customer_state
from rapport.domain.customer_states import (
    MAX_EVENTS,
    CustomerState,
    StateDelta,
    advance,
    decode_deltas,
    decode_state,
    encode_deltas,
    encode_state,
    is_equivalent,
    keep_latest_events,
    make_state,
)
from rapport.domain.customers.customer import CustomerKey, CustomerSnapshot
from rapport.domain.metrics import StoredEvent
from rapport.domain.profiles.contact import ContactObjections
from rapport.domain.profiles.suppressions import SuppressionEndings
from rapport.domain.summaries import StoredSummary

ANN = CustomerKey("acme", "ann")
PERIODS = (("alltime", "alltime"), ("daily", "2026-03-01"), ("daily", "2026-03-02"), ("weekly", "2026-W09"))
SOURCES = ("c/t/0", "c/t/1")
BLOCK_MESSAGES = 10


def row(period: tuple[str, str], offer: str, source: str, offset: int) -> StoredSummary:
    """A version of a row, whose count follows from its offset: a row is a function of its log."""
    counts = (offset + 1, 0, 0, 0, 0, Decimal(offset) / 4)
    about = ("acme", "ann", *period, offer, "", "web", source, offset // BLOCK_MESSAGES + 1)
    return StoredSummary(*about, offset, 0, *counts, offset, "seen", "in")


def event(source: str, offset: int, occurred_ms: int) -> StoredEvent:
    """An event, which is known by its place in the log."""
    about = ("impression", occurred_ms, "seen", "neutral", False, "in", "loan", "", "web", None, "", 0)
    return StoredEvent("acme", "ann", f"{occurred_ms:012x}{source}{offset}", occurred_ms, *about, source, offset)


batches = st.lists(
    st.builds(
        lambda source, offsets, period, offer: StateDelta(
            "ann",
            [row(period, offer, source, max(offsets))],
            [event(source, offset, 1_000 * offset) for offset in offsets],
        ),
        st.sampled_from(SOURCES),
        st.lists(st.integers(0, 40), min_size=1, max_size=4, unique=True),
        st.sampled_from(PERIODS),
        st.sampled_from(("loan", "card")),
    ),
    max_size=12,
)


def load(deltas: list[StateDelta]) -> CustomerState:
    """The state as a load reads it from tables to which these batches have been written."""
    rows: dict[tuple[object, ...], StoredSummary] = {}
    for one in (one for delta in deltas for one in delta.rows):
        if one[:9] not in rows or rows[one[:9]].applied_offset < one.applied_offset:
            rows[one[:9]] = one
    events = {one.id: one for delta in deltas for one in delta.events}
    return make_state(
        ANN, time_zone="UTC", today=date(2026, 3, 2), rows=list(rows.values()), events=list(events.values())
    )


@given(batches, st.data())
def test_a_state_that_has_advanced_is_a_state_that_is_loaded_afresh(deltas: list[StateDelta], data: st.DataObject):
    read = data.draw(st.integers(0, len(deltas)))
    offered = data.draw(st.permutations(deltas[data.draw(st.integers(0, read)) :]))
    repeated = data.draw(st.lists(st.sampled_from(deltas), max_size=3)) if deltas else []
    advanced = advance(load(deltas[:read]), [*offered, *repeated])
    assert is_equivalent(advanced, load(deltas))
    assert is_equivalent(decode_state(encode_state(advanced)), advanced)
    assert decode_deltas(encode_deltas(deltas)) == deltas


def put_together(rows: Iterable[StoredSummary], below: int) -> list[StoredSummary]:
    """The rows after a compaction of the blocks below one: sums in block 0, emptied rows gone or still there."""
    first_offset = (below - 1) * BLOCK_MESSAGES
    closed: dict[tuple[str, ...], list[StoredSummary]] = {}
    for one in rows:
        if one.block < below:
            closed.setdefault(one.subject, []).append(one)
    kept = [one for one in rows if one.block >= below]
    for subject, blocks in closed.items():
        counts = [sum(column) for column in zip(*(one.counts for one in blocks), strict=True)]
        latest = max(blocks, key=lambda one: one.last_contact_ms)
        kept.append(StoredSummary(*subject, 0, first_offset - 1, 0, *counts, *latest[17:]))
        kept += [StoredSummary(*one[:9], first_offset, 0, 0, 0, 0, 0, 0, Decimal(0), 0, "", "") for one in blocks[1:]]
    return kept


@given(batches, st.data())
def test_a_state_that_is_loaded_after_a_compaction_counts_nothing_twice(deltas: list[StateDelta], data: st.DataObject):
    whole = load(deltas)
    compacted = msgspec.structs.replace(whole, rows=put_together(whole.rows, data.draw(st.integers(2, 5))))
    assert is_equivalent(compacted, whole)
    again = data.draw(st.lists(st.sampled_from(deltas), max_size=6)) if deltas else []
    assert is_equivalent(advance(compacted, again), whole)


def test_whatever_one_state_lacks_is_seen():
    whole = load([StateDelta("ann", [row(PERIODS[2], "loan", "c/t/0", 3)], [event("c/t/0", 3, 9)])])
    assert is_equivalent(whole, whole)
    for change in ({"rows": []}, {"events": []}, {"consents": {"email": "revoked"}}, {"memberships": {"vips": 1}}):
        assert not is_equivalent(msgspec.structs.replace(whole, **change), whole)
    older = row(PERIODS[2], "loan", "c/t/0", 2)
    assert not is_equivalent(msgspec.structs.replace(whole, rows=[older]), whole)
    past = row(PERIODS[1], "loan", "c/t/0", 2)
    assert is_equivalent(msgspec.structs.replace(whole, rows=[*whole.rows, past]), whole)


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 20))
def test_what_is_kept_of_many_events_is_whole_from_a_time_on(times: list[int], most: int):
    events = [event("c/t/0", number, at_ms) for number, at_ms in enumerate(times)]
    before, customer_state.MAX_EVENTS = customer_state.MAX_EVENTS, most  # type: ignore[misc]
    try:
        kept, from_ms = keep_latest_events(events, 0)
    finally:
        customer_state.MAX_EVENTS = before  # type: ignore[misc]
    assert len(kept) <= most
    assert kept == [one for one in events if one.occurred_ms >= from_ms]
    assert (from_ms == 0) is (len(events) <= most)


def test_a_state_is_bounded_however_many_events_come():
    state = load([])
    for number in range(MAX_EVENTS * 2):
        state = advance(state, [StateDelta("ann", [], [event("c/t/0", number, number)])])
    assert len(state.events) == MAX_EVENTS
    assert state.events_from_ms == MAX_EVENTS
    late = advance(state, [StateDelta("ann", [], [event("c/t/1", 1, 5)])])
    assert late.events == state.events


def test_what_another_spelling_of_the_id_has_done_is_left_out():
    state = load([])
    assert advance(state, [StateDelta("Ann", [row(PERIODS[0], "loan", "c/t/0", 1)], [])]) == state


def test_every_part_of_a_customer_survives_encoding():
    snapshot = CustomerSnapshot(
        {"age": 40, "score": 1.0, "tags": ["a", {"b": None}], "vip": True},
        {"email": "granted"},
        ContactObjections(refuses_gdpr=True),
        SuppressionEndings(granted_ms={"email": 5}, lifted_ms={("rule", "loan"): 7}),
    )
    state = make_state(ANN, time_zone="UTC", today=date(2026, 3, 2), snapshot=snapshot, memberships={"vips": 3})
    restored = decode_state(encode_state(state))
    assert restored == state
    assert restored.snapshot == snapshot
    assert isinstance(restored.snapshot.attributes["score"], float)  # type: ignore[index]
