"""Journeys in the worker: customers enter them by accepted events, and are moved on by a job.

Nothing here holds up a batch. When a batch has been recorded, what it accepted is noted in memory; a job looks at it.
How far each log has been looked through is kept in ``journey_progress``: what was noted and lost, in a crash or because
there was too much of it, is read from the history instead. Looking again at the same events lets nobody enter twice, so
that it may be done by whoever owns the partition, at any time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl
import structlog

from rapport.application.journeys.advance import Mover
from rapport.application.journeys.enroll import enter
from rapport.application.journeys.journey_cache import KnownJourneys
from rapport.application.journeys.person import leave_twins
from rapport.jobs import run_for_each
from rapport.storage.journeys import (
    Stretch,
    entry_of,
    find_due,
    load_enrollments,
    read_entry_events,
    read_journey_progress,
    write_journey_progress,
)

if TYPE_CHECKING:
    from rapport.domain.events import Message
    from rapport.domain.journeys.entry import EntryEvent
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
MAX_NOTED: Final = 50_000
"""Events that are kept in memory until the timer comes; beyond, they are read from the history."""
MAX_FOUND: Final = 5_000
"""Enrolments that one look finds; of these it moves its own on."""
MAX_MOVED: Final = 1_000


class Applied(NamedTuple):
    """A part of a log that was recorded.

    Attributes:
        until_offset: Everything before it, from ``from_offset`` on, is in the history.
    """

    source: str
    from_offset: int
    until_offset: int


@dataclass(slots=True)
class _Noted:
    """A part of a log with the events in it by which customers may enter journeys.

    Attributes:
        wanted: What was looked for; an event of a journey that was not known yet is not among the events.
    """

    applied: Applied
    events: list[tuple[int, EntryEvent]]
    wanted: frozenset[tuple[str, str]]


@dataclass(slots=True)
class JourneyRunner:
    """Has customers enter journeys and moves them on.

    Attributes:
        send: Puts a message into the stream and returns when Kafka has it.
        recorded: How far each log that this worker owns is recorded, by source.
        is_mine: Whether this worker owns the partition of a customer, by tenant and customer. That two workers believe
            so does no harm.
        clock: Epoch milliseconds.
    """

    store: Store
    send: Callable[[Message], Awaitable[None]]
    recorded: Callable[[], Mapping[str, int]]
    is_mine: Callable[[str, str], bool]
    clock: Callable[[], int]
    refresh_s: float
    known: KnownJourneys = field(init=False)
    _mover: Mover = field(init=False)
    _noted: dict[str, list[_Noted]] = field(default_factory=dict)
    _count: int = 0
    _looked: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = KnownJourneys(self.store, self.refresh_s)
        self._mover = Mover(self.store, self.known, self.send, self._positions, self.clock)

    def note(self, parts: Iterable[Applied], accepted: pl.DataFrame) -> None:
        """Remember what was accepted, until the timer comes.

        Args:
            parts: What was recorded.
            accepted: Events of these parts, with the columns of the history.
        """
        wanted = self.known.wanted
        if not wanted or self._count > MAX_NOTED:
            return
        found: defaultdict[str, list[tuple[int, EntryEvent]]] = defaultdict(list)
        if not accepted.is_empty():
            outcomes = sorted({outcome for _, outcome in wanted})
            for row in accepted.filter(pl.col("outcome").is_in(outcomes)).iter_rows(named=True):
                if (row["tenant_id"], row["outcome"]) in wanted:
                    found[row["source"]].append((row["offset"], entry_of(row)))
        for part in parts:
            self._noted.setdefault(part.source, []).append(_Noted(part, found[part.source], wanted))
            self._count += len(found[part.source])

    async def look(self) -> None:
        """Let customers enter, and move on those who have something to do: that one fails does not stop the other.

        Raises:
            PartialFailureError: With what kept some of them from it.
        """
        await asyncio.to_thread(self.known.refresh)
        await run_for_each([self.enter, self.move], lambda work: work())

    async def enter(self) -> None:
        """Let customers enter by what has been recorded since the last look.

        Journeys are loaded after it was asked what is recorded: so every journey that an event came after is known.
        """
        noted, self._noted, self._count = self._noted, {}, 0
        recorded = dict(self.recorded())
        if recorded != self._looked:
            await asyncio.to_thread(self.known.refresh, at_once=True)
            self._looked = recorded
        if self.known.entries and recorded:
            await asyncio.to_thread(self._enter, noted, recorded)

    async def move(self) -> None:
        """Move customers on whose wait is over."""
        now_ms = self.clock()
        due = await asyncio.to_thread(
            find_due, self.store, self.known.tenants.keys(), self.known.held, now_ms, MAX_FOUND
        )
        mine = [key for key in due if self.is_mine(key[0], key[1])][:MAX_MOVED]  # tenants take turns in it
        if mine:
            states = await asyncio.to_thread(load_enrollments, self.store, mine)
            states = await asyncio.to_thread(leave_twins, self.store, self.known, states, now_ms)
            moved = await self._mover.move(states)
            log.info("customers moved on in journeys", customers=len(states), states=moved)

    def _positions(self) -> Mapping[str, int]:
        """How far the partitions that this worker owns are recorded."""
        return {source.rpartition("/")[2]: offset for source, offset in self.recorded().items()}

    def _enter(self, noted: Mapping[str, Sequence[_Noted]], recorded: Mapping[str, int]) -> None:
        reached = read_journey_progress(self.store, recorded.keys())
        events: list[EntryEvent] = []
        stretches: list[Stretch] = []
        for source, until in recorded.items():
            position = reached.get(source, 0)
            for one in noted.get(source, ()):
                is_elsewhere = one.applied.until_offset <= position or one.applied.from_offset >= until
                if is_elsewhere or not self.known.wanted <= one.wanted:
                    continue
                if one.applied.from_offset > position:
                    stretches.append(Stretch(source, position, one.applied.from_offset))
                events += [event for offset, event in one.events if offset >= position]
                position = one.applied.until_offset
            if position < until:
                stretches.append(Stretch(source, position, until))
        events = self._missed(stretches) + events
        entered = enter(self.store, self.known, events, self.clock()) if events else 0
        ahead = {source: until for source, until in recorded.items() if until > reached.get(source, 0)}
        if ahead:
            write_journey_progress(self.store, ahead)
        if entered:
            log.info("customers entered journeys", customers=entered)

    def _missed(self, stretches: Sequence[Stretch]) -> list[EntryEvent]:
        """What happened in parts of logs that nobody has looked at, since there are journeys to enter."""
        if not stretches:
            return []
        wanted = self.known.wanted
        since_ms = min(entry.since_ms for entry in self.known.entries)
        tenants, outcomes = {tenant for tenant, _ in wanted}, {outcome for _, outcome in wanted}
        return read_entry_events(self.store, stretches, tenants, outcomes, since_ms)
