from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.domain.claims import Claim, ClaimDecision, decide

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = Claim("m", offset=5, item=0, payload_hash=1)
LOWER = Claim("a", offset=9, item=0, payload_hash=1)
HIGHER = Claim("z", offset=2, item=0, payload_hash=1)
EARLIER = replace(OWN, offset=4)

booleans = st.booleans()
claims = st.builds(
    Claim,
    source=st.sampled_from("amz"),
    offset=st.integers(0, 9),
    item=st.integers(0, 1),
    payload_hash=st.integers(1, 2),
    is_accepted=booleans,
    is_settled=booleans,
    has_yielded=booleans,
    is_abandoned=booleans,
)


def test_an_event_alone_counts():
    assert decide(OWN, []) is ClaimDecision.ACCEPT


def test_an_accepted_event_stays_accepted_whatever_else_is_found():
    others = [EARLIER, replace(LOWER, is_accepted=True), HIGHER]
    assert decide(replace(OWN, is_accepted=True), others) is ClaimDecision.ACCEPT


@pytest.mark.parametrize("earlier", [EARLIER, replace(OWN, offset=0)])
def test_within_a_source_the_lower_offset_counts(earlier: Claim):
    assert decide(OWN, [earlier]) is ClaimDecision.DUPLICATE
    assert decide(earlier, [OWN]) is ClaimDecision.ACCEPT


def test_an_event_that_lost_its_claim_stays_a_duplicate():
    assert decide(replace(OWN, has_yielded=True), []) is ClaimDecision.DUPLICATE
    assert decide(OWN, [replace(EARLIER, has_yielded=True)]) is ClaimDecision.DUPLICATE


def test_within_a_message_the_lower_item_counts():
    second = replace(OWN, item=1)
    assert (decide(OWN, [second]), decide(second, [OWN])) == (ClaimDecision.ACCEPT, ClaimDecision.DUPLICATE)


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        (LOWER, ClaimDecision.DUPLICATE),
        (replace(LOWER, is_abandoned=True), ClaimDecision.DUPLICATE),
        (replace(LOWER, has_yielded=True), ClaimDecision.ACCEPT),
        (HIGHER, ClaimDecision.WAIT),
        (replace(HIGHER, is_accepted=True), ClaimDecision.DUPLICATE),
        (replace(HIGHER, is_settled=True), ClaimDecision.DUPLICATE),
        (replace(HIGHER, is_settled=True, has_yielded=True), ClaimDecision.ACCEPT),
        (replace(HIGHER, has_yielded=True), ClaimDecision.ACCEPT),
        (replace(HIGHER, is_abandoned=True), ClaimDecision.ACCEPT),
        (replace(HIGHER, is_abandoned=True, is_accepted=True), ClaimDecision.DUPLICATE),
    ],
)
def test_between_sources_the_higher_loses_and_the_lower_waits_for_it(other: Claim, verdict: ClaimDecision):
    assert decide(OWN, [other]) is verdict


@pytest.mark.parametrize("other", [EARLIER, LOWER, replace(HIGHER, is_accepted=True)])
def test_the_same_key_with_another_payload_is_a_conflict(other: Claim):
    assert decide(OWN, [replace(other, payload_hash=2)]) is ClaimDecision.CONFLICT


def test_a_repetition_is_compared_with_the_first_event_of_its_source():
    assert decide(OWN, [replace(EARLIER, payload_hash=2), replace(OWN, offset=0)]) is ClaimDecision.DUPLICATE


def test_an_accepted_claim_ends_the_waiting_for_another():
    others = [replace(HIGHER, source="y"), replace(HIGHER, is_accepted=True)]
    assert decide(OWN, others) is ClaimDecision.DUPLICATE


@settings(max_examples=200, deadline=None)
@given(own=claims, others=st.lists(claims, max_size=4), data=st.data())
def test_the_order_of_claims_matters_only_between_duplicate_and_conflict(
    own: Claim, others: list[Claim], data: st.DataObject
):
    stood_back = {ClaimDecision.DUPLICATE, ClaimDecision.CONFLICT}
    one, another = decide(own, others), decide(own, data.draw(st.permutations(others)))
    assert one is another or {one, another} == stood_back


STEPS = 7  # of a batch, as others see it
Logs = list[list[tuple[str, int]]]

# A model of the whole protocol: workers that claim, read, decide, accept, record their progress, crash and start again,
# in any order of their steps.


@dataclass(slots=True)
class Tables:
    """Tables that the workers share."""

    claimed: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)  # place -> key, payload
    yielded: set[tuple[str, int]] = field(default_factory=set)
    accepted: set[tuple[str, int]] = field(default_factory=set)
    progress: Counter[str] = field(default_factory=Counter)
    conflicts: set[tuple[str, int]] = field(default_factory=set)


@dataclass(slots=True)
class Worker:
    """Worker of one source; its log is a list of (key, payload)."""

    source: str
    log: list[tuple[str, int]]
    tables: Tables
    crashed: set[str]
    batch_size: int = 2
    steps: Iterator[None] | None = None

    @property
    def is_done(self) -> bool:
        return self.tables.progress[self.source] == len(self.log)

    def step(self) -> None:
        """Do one more thing that others can see, or notice one."""
        if self.steps is None:
            self.steps = self.apply_batch()
        if next(self.steps, "over") == "over":
            self.steps = None

    def crash(self) -> None:
        self.steps = None
        self.crashed.add(self.source)

    def apply_batch(self) -> Iterator[None]:
        tables, first = self.tables, self.tables.progress[self.source]
        batch = range(first, min(first + self.batch_size, len(self.log)))
        for offset in batch:
            tables.claimed[self.source, offset] = self.log[offset]
        self.crashed.discard(self.source)  # its claims are fresh again
        yield
        progress = tables.progress.copy()  # before the claims: what was settled then shows whether it had yielded
        yield
        seen = {place: (*claim, place in tables.yielded) for place, claim in tables.claimed.items()}
        abandoned = set(self.crashed)
        yield
        accepted = set(tables.accepted)
        found: dict[str, list[Claim]] = defaultdict(list)
        for (source, offset), (key, payload, has_yielded) in seen.items():
            found[key].append(
                Claim(
                    source,
                    offset,
                    0,
                    payload,
                    is_accepted=(source, offset) in accepted,
                    is_settled=progress[source] > offset,
                    has_yielded=has_yielded,
                    is_abandoned=source in abandoned,
                )
            )
        verdicts: dict[int, ClaimDecision] = {}
        for offset in batch:
            key, payload = self.log[offset]
            own = Claim(self.source, offset, 0, payload, is_accepted=(self.source, offset) in accepted)
            rivals = [c for c in found[key] if (c.source, c.offset) != (self.source, offset)]
            verdicts[offset] = decide(own, rivals)
            if verdicts[offset] is ClaimDecision.WAIT:
                break
        until = min((o for o, v in verdicts.items() if v is ClaimDecision.WAIT), default=batch.stop)
        yield
        stood_back = {(self.source, o) for o in range(first, until) if verdicts[o] is not ClaimDecision.ACCEPT}
        tables.yielded |= stood_back
        tables.conflicts |= {place for place in stood_back if verdicts[place[1]] is ClaimDecision.CONFLICT}
        yield
        tables.accepted |= {(self.source, o) for o in range(first, until) if verdicts[o] is ClaimDecision.ACCEPT}
        yield
        tables.progress[self.source] = max(until, tables.progress[self.source])


events_of_a_log = st.lists(st.sampled_from([("k", 1)] * 4 + [("k", 2), ("l", 1)]), min_size=1, max_size=2)
logs = st.lists(events_of_a_log, min_size=2, max_size=3)
moves = st.binary(min_size=40, max_size=40)  # uniform: the interleavings that matter are not the simple ones


class World:
    """Workers and the tables they share.

    Args:
        logs: One of each source, in the order of the sources' names.
        batch_size: How many messages a worker takes at a time.
    """

    def __init__(self, logs: Logs, batch_size: int = 2) -> None:
        self.tables = Tables()
        crashed = set[str]()
        sources = zip("amz", logs, strict=False)
        self.workers = [Worker(source, log, self.tables, crashed, batch_size) for source, log in sources]

    def step(self, who: int) -> None:
        if not self.workers[who].is_done:
            self.workers[who].step()

    def finish(self) -> None:
        """Let every worker come to the end of its log."""
        for _ in range(100):
            waiting = [who for who, worker in enumerate(self.workers) if not worker.is_done]
            for who in waiting:
                self.step(who)
            if not waiting:
                return
        raise AssertionError("somebody waits for ever")


@settings(max_examples=400, deadline=None)
@given(logs=logs, moves=moves, batch_size=st.integers(1, 3))
def test_of_all_events_with_one_key_exactly_one_counts_whatever_the_workers_do(
    logs: Logs, moves: bytes, batch_size: int
):
    world = World(logs, batch_size)
    for move in moves:
        who = move % len(logs)
        if move // 32 == 0:
            world.workers[who].crash()
        else:
            world.step(who)
    world.finish()
    tables = world.tables
    events = {(s, o): event for s, log in zip("amz", logs, strict=False) for o, event in enumerate(log)}
    payloads = defaultdict(set)
    for key, payload in events.values():
        payloads[key].add(payload)
    assert Counter(events[place][0] for place in tables.accepted) == Counter(list(payloads))
    assert tables.yielded == set(events) - tables.accepted
    assert all(len(payloads[events[place][0]]) > 1 for place in tables.conflicts)


@pytest.mark.parametrize("crashed", [0, 1])
@pytest.mark.parametrize("after", range(STEPS))
def test_exactly_one_of_two_events_counts_in_every_order_of_their_workers_steps(crashed: int, after: int):
    for turns in combinations(range(2 * STEPS), STEPS):
        world = World([[("k", 1)], [("k", 1)]])
        for _ in range(after):
            world.step(crashed)
        world.workers[crashed].crash()
        for turn in range(2 * STEPS):
            world.step(turn in turns)
        world.finish()
        assert len(world.tables.accepted) == 1
