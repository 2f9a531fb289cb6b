from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.dedup import EventPosition, Resolution, StoredClaims, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

HOUR_MS = 3_600_000
HORIZON_MS = 168 * HOUR_MS
CLAIM_TIMEOUT_S = 60.0
FRESH, OLD = 1, 3_600

EVENTS = {
    "tenant_id": pl.String,
    "customer_id": pl.String,
    "key_hash": pl.UInt64,
    "source": pl.String,
    "offset": pl.UInt64,
    "item": pl.UInt32,
    "payload_hash": pl.UInt64,
    "text_hash": pl.UInt64,
    "received_at_ms": pl.Int64,
}
CLAIMS = {**EVENTS, "has_yielded": pl.UInt8, "age_s": pl.Int64}


@dataclass(frozen=True, slots=True)
class Event:
    source: str
    offset: int
    item: int = 0
    key: int = 1
    payload: int = 1
    text: int = 0
    at_h: int = 0
    customer: str = "ann"
    tenant: str = "acme"

    @property
    def position(self) -> EventPosition:
        return self.source, self.offset, self.item

    def row(self) -> tuple[object, ...]:
        return self.tenant, self.customer, self.key, *self.position, self.payload, self.text, self.at_h * HOUR_MS


def build_frame(events: Iterable[Event]) -> pl.DataFrame:
    return pl.DataFrame([event.row() for event in events], EVENTS, orient="row")


def make_claim(event: Event, *, yielded: bool = False, age_s: int = FRESH) -> tuple[object, ...]:
    return *event.row(), int(yielded), age_s


def read_claims(
    *claims: tuple[object, ...],
    progress: Mapping[str, int] | None = None,
    accepted: Iterable[Event] = (),
    all_claims: Iterable[tuple[object, ...]] | None = None,
) -> StoredClaims:
    def find_accepted(disputed: pl.DataFrame) -> set[EventPosition]:
        asked = set(disputed.select("tenant_id", "customer_id", "source", "offset").iter_rows())
        return {e.position for e in accepted if (e.tenant, e.customer, e.source, e.offset) in asked}

    found = pl.DataFrame(claims, CLAIMS, orient="row") if claims else pl.DataFrame()
    return StoredClaims(
        found,
        read_again=lambda _: found if all_claims is None else pl.DataFrame(list(all_claims), CLAIMS, orient="row"),
        progress=lambda sources: {s: offset for s, offset in (progress or {}).items() if s in set(sources)},
        accepted=find_accepted,
    )


def resolve_events(events: Iterable[Event], others: StoredClaims | None = None) -> Resolution:
    return resolve(build_frame(events), others or read_claims(), horizon_ms=HORIZON_MS, claim_timeout_s=CLAIM_TIMEOUT_S)


def list_positions(frame: pl.DataFrame) -> list[EventPosition]:
    return list(frame.select("source", "offset", "item").iter_rows()) if frame.width else []


def test_events_with_different_keys_all_count():
    resolution = resolve_events([Event("a", n, key=n) for n in range(3)])
    assert list_positions(resolution.accepted) == [("a", n, 0) for n in range(3)]
    assert (resolution.duplicates, resolution.conflicts, resolution.waiting) == (0, [], {})


def test_an_empty_batch_resolves_to_nothing():
    assert list_positions(resolve_events([]).accepted) == []


def test_of_repetitions_in_one_batch_the_first_counts():
    events = [Event("a", 0), Event("a", 0, item=1), Event("a", 1, key=2), Event("a", 2)]
    resolution = resolve_events(events)
    assert list_positions(resolution.accepted) == [("a", 0, 0), ("a", 1, 0)]
    assert resolution.duplicates == 2
    assert list_positions(resolution.losers) == []


@pytest.mark.parametrize("other", [Event("a", 1, customer="bob"), Event("a", 1, tenant="globex")])
def test_the_same_key_of_two_customers_counts_twice(other: Event):
    assert len(list_positions(resolve_events([Event("a", 0), other]).accepted)) == 2


def test_an_earlier_message_of_the_same_source_counts_instead():
    others = read_claims(make_claim(Event("a", 3), age_s=OLD))
    resolution = resolve_events([Event("a", 7), Event("a", 8, key=2)], others)
    assert list_positions(resolution.accepted) == [("a", 8, 0)]
    assert resolution.duplicates == 1


def test_the_same_key_with_another_payload_is_a_conflict_and_no_duplicate():
    resolution = resolve_events([Event("a", 0), Event("a", 1, payload=2), Event("a", 2)])
    assert list_positions(resolution.accepted) == [("a", 0, 0)]
    assert resolution.conflicts == [("acme", "a", 1, 0)]
    assert resolution.duplicates == 1


def test_a_claim_from_before_values_were_compared_is_a_repetition_by_its_text():
    others = read_claims(make_claim(Event("a", 3, payload=7), age_s=OLD))
    resolution = resolve_events([Event("a", 8, payload=1, text=7), Event("a", 9, payload=1, text=6)], others)
    assert (resolution.duplicates, resolution.conflicts) == (1, [("acme", "a", 9, 0)])


def test_of_two_sources_in_one_batch_the_lower_wins_and_the_higher_is_marked():
    resolution = resolve_events([Event("z", 0), Event("z", 1, key=2), Event("a", 5)])
    assert list_positions(resolution.accepted) == [("z", 1, 0), ("a", 5, 0)]
    assert list_positions(resolution.losers) == [("z", 0, 0)]
    assert resolution.waiting == {}


def test_a_higher_source_loses_to_the_claim_of_a_lower_one():
    resolution = resolve_events([Event("z", 4)], read_claims(make_claim(Event("a", 9)), progress={"a": 3}))
    assert list_positions(resolution.accepted) == []
    assert list_positions(resolution.losers) == [("z", 4, 0)]


def test_a_loser_to_a_claim_that_appeared_between_the_reads_is_marked():
    repeated = [Event("m", 1), Event("m", 2)]
    mine = [make_claim(event) for event in repeated]
    others = read_claims(make_claim(Event("a", 0, key=9)), all_claims=[*mine, make_claim(Event("a", 1))])
    resolution = resolve_events(repeated, others)
    assert list_positions(resolution.accepted) == []
    assert ("m", 1, 0) in list_positions(resolution.losers)


def test_a_lower_source_waits_for_a_higher_one_from_that_offset_on():
    events = [
        Event("a", 4, key=4),
        Event("a", 5, key=5),
        Event("a", 5, item=1),
        Event("a", 6, key=6),
        Event("a", 7, key=4),
        Event("b", 9, key=9),
    ]
    resolution = resolve_events(events, read_claims(make_claim(Event("z", 9)), progress={"z": 3}))
    assert resolution.waiting == {"a": 5}
    assert list_positions(resolution.accepted) == [("a", 4, 0), ("b", 9, 0)]
    assert (resolution.duplicates, list_positions(resolution.losers)) == (0, [])


@pytest.mark.parametrize(
    ("others", "counts"),
    [
        (read_claims(make_claim(Event("z", 9), yielded=True), progress={"z": 3}), True),
        (read_claims(make_claim(Event("z", 9), yielded=True), progress={"z": 10}), True),
        (read_claims(make_claim(Event("z", 9), age_s=61), progress={"z": 9}), True),
        (read_claims(make_claim(Event("z", 9)), progress={"z": 10}), False),
        (read_claims(make_claim(Event("z", 9), age_s=61), progress={"z": 10}), False),
        (read_claims(make_claim(Event("z", 9)), progress={"z": 9}, accepted=[Event("z", 9)]), False),
        (read_claims(make_claim(Event("z", 9), age_s=61), accepted=[Event("z", 9)]), False),
    ],
)
def test_waiting_ends_when_the_higher_source_has_decided_or_is_abandoned(others: StoredClaims, counts: bool):  # noqa: FBT001
    resolution = resolve_events([Event("a", 4)], others)
    assert (len(list_positions(resolution.accepted)), resolution.duplicates) == ((1, 0) if counts else (0, 1))
    assert resolution.waiting == {}


def test_events_accepted_before_a_crash_are_accepted_again():
    others = read_claims(make_claim(Event("a", 9)), accepted=[Event("z", 4)])
    resolution = resolve_events([Event("z", 4)], others)
    assert list_positions(resolution.accepted) == [("z", 4, 0)]


def test_an_accepted_item_does_not_accept_another_item_of_its_message():
    others = read_claims(make_claim(Event("a", 9, key=2)), accepted=[Event("z", 4)])
    resolution = resolve_events([Event("z", 4), Event("z", 4, item=1, key=2)], others)
    assert list_positions(resolution.accepted) == [("z", 4, 0)]


@pytest.mark.parametrize(("hours", "counts"), [(168, False), (169, True)])
@pytest.mark.parametrize("source", ["a", "m", "z"])
def test_repetitions_further_apart_than_the_horizon_count_again(source: str, hours: int, counts: bool):  # noqa: FBT001
    others = read_claims(make_claim(Event(source, 1), age_s=OLD), progress={"a": 2, "z": 2})
    resolution = resolve_events([Event("m", 7, at_h=hours)], others)
    assert len(list_positions(resolution.accepted)) == counts


def test_the_horizon_also_applies_within_a_batch():
    resolution = resolve_events([Event("m", n, at_h=hours) for n, hours in enumerate((0, 168, 400))])
    assert list_positions(resolution.accepted) == [("m", 0, 0), ("m", 2, 0)]


def test_accepted_events_keep_the_order_of_their_logs():
    events = [Event("a", n // 2, item=n % 2, key=n % 7) for n in range(20)]
    assert list_positions(resolve_events(events).accepted) == [event.position for event in events[:7]]


def test_an_accepted_event_of_a_higher_source_wins_despite_its_disputed_events():
    others = read_claims(make_claim(Event("z", 3), age_s=OLD), progress={"z": 10}, accepted=[Event("z", 3)])
    resolution = resolve_events([Event("a", 7), Event("z", 10, key=2), Event("z", 11, key=2)], others)
    assert list_positions(resolution.accepted) == [("z", 10, 0)]
    assert resolution.waiting == {}


# A model of the whole protocol with the real resolve: workers that own one or more sources, and take them over from
# each other when one crashes.


@dataclass(slots=True)
class World:
    """Tables and logs. Each event of the logs is one message."""

    logs: Mapping[str, list[Event]]
    owner: dict[str, int]
    claims: dict[EventPosition, Event] = field(default_factory=dict)
    undecided: set[EventPosition] = field(default_factory=set)
    losers: set[EventPosition] = field(default_factory=set)
    accepted: Counter[Event] = field(default_factory=Counter)
    progress: Counter[str] = field(default_factory=Counter)
    running: dict[int, Iterator[None]] = field(default_factory=dict)

    def step(self, worker: int, sizes: int) -> None:
        if worker not in self.running:
            owned = [source for source, owner in self.owner.items() if owner == worker]
            self.running[worker] = self.apply_batch({s: sizes >> n & 3 for n, s in enumerate(owned)})
        if next(self.running[worker], self) is self:
            del self.running[worker]

    def crash(self, worker: int, heir: int) -> None:
        self.running.pop(worker, None)
        self.running.pop(heir, None)  # a rebalance: it starts anew with what it owns now
        for source, owner in self.owner.items():
            if owner in (worker, heir):
                self.undecided -= {position for position in self.undecided if position[0] == source}
                self.owner[source] = heir

    def apply_batch(self, sizes: Mapping[str, int]) -> Iterator[None]:
        first = {s: self.progress[s] for s, size in sizes.items() if self.logs[s][self.progress[s] :][:size]}
        batch = [event for source, start in first.items() for event in self.logs[source][start:][: sizes[source]]]
        if not batch:
            return
        self.claims |= {event.position: event for event in batch}
        self.undecided |= {event.position for event in batch}
        yield
        own_keys = {(event.source, event.key) for event in batch}

        def list_claims(events: Iterable[Event]) -> list[tuple[object, ...]]:
            age = {e.position: FRESH if e.position in self.undecided else OLD for e in events}
            return [make_claim(e, yielded=e.position in self.losers, age_s=age[e.position]) for e in events]

        found = [
            e for e in self.claims.values() if (e.source, e.key) not in own_keys or e.offset < first.get(e.source, 0)
        ]
        read_first = list_claims(found)
        yield
        others = read_claims(
            *read_first,
            progress=self.progress.copy(),
            accepted=set(self.accepted),
            all_claims=list_claims(list(self.claims.values())),
        )
        resolution = resolve_events(batch, others)
        self.losers |= set(list_positions(resolution.losers))
        yield
        by_position = {event.position: event for event in batch}
        self.accepted |= Counter(by_position[position] for position in list_positions(resolution.accepted))
        yield
        self.undecided -= set(by_position)
        for source, start in first.items():
            done = [event for event in batch if event.source == source]
            self.progress[source] = resolution.waiting.get(source, start + len(done))

    @property
    def is_done(self) -> bool:
        return all(self.progress[source] == len(log) for source, log in self.logs.items())


keys_of_a_log = st.lists(st.sampled_from([1, 1, 2]), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(logs=st.lists(keys_of_a_log, min_size=3, max_size=3), moves=st.binary(min_size=30, max_size=30))
@example(logs=[[2], [2, 1], [1]], moves=b"\0\1\x18\x10\x10" + bytes(24) + b"\x14")
@example(logs=[[2], [1, 2, 2], [1]], moves=bytes(21) + b"\x83\x11\x11\x11\x11\x18E\x00\x11")
def test_of_all_events_with_one_key_exactly_one_counts(logs: list[list[int]], moves: bytes):
    keys = dict(zip("amz", logs, strict=True))
    named = {source: [Event(source, n, key=key) for n, key in enumerate(log)] for source, log in keys.items()}
    world = World(named, owner={"a": 0, "m": 1, "z": 0})
    for move in moves:
        if move < 16:
            world.crash(move % 2, heir=move // 2 % 2)
        else:
            world.step(move % 2, sizes=move // 2)
    for _ in range(100):
        if not world.is_done:
            world.step(0, sizes=63)
            world.step(1, sizes=63)
    assert world.is_done, "somebody waits for ever"
    assert Counter(event.key for event in world.accepted) == Counter({key for log in logs for key in log})
