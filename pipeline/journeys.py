"""Journeys in the worker: accepted events enrol customers, and a job advances those who are due.

Nothing here delays a batch. When a batch has been recorded, its entry events are noted in memory; a job reads the
notes. ``journey_progress`` records up to which offset each log has been checked: noted events that were lost, in a
crash or because there were too many, are read from the history instead. Checking the same events again enrols nobody
twice, so any owner of the partition may do so at any time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl
import structlog

from rapport.application.journeys.advance import JourneyAdvancer
from rapport.application.journeys.enrol import enrol_by_events
from rapport.application.journeys.journey_cache import JourneyCache
from rapport.application.journeys.people import end_duplicate_enrolments
from rapport.jobs import run_for_each
from rapport.storage.journeys import (
    OffsetRange,
    entry_event_from_row,
    find_due,
    load_enrolments,
    read_entry_events,
    read_journey_progress,
    write_journey_progress,
)

if TYPE_CHECKING:
    from pipeline.batch import AppliedRange
    from rapport.domain.events import Message
    from rapport.domain.journeys.entry import EntryEvent
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
MAX_NOTED: Final = 50_000
"""Most events kept in memory until the next pass; beyond, they are read from the history."""
MAX_DUE: Final = 5_000
"""Most due enrolments that one pass reads, of all workers' customers."""
MAX_ADVANCED: Final = 1_000
"""Most enrolments that one pass advances, of this worker's customers."""


@dataclass(slots=True)
class _EntryEvents:
    """Events of one recorded range of a log that customers may enter journeys by.

    Attributes:
        wanted: The (tenant, outcome) pairs that the range was filtered by. An event of a journey that was loaded later
            is missing, so a range whose pairs do not include all current ones is read from the history instead.
    """

    applied: AppliedRange
    events: list[tuple[int, EntryEvent]]
    wanted: frozenset[tuple[str, str]]


@dataclass(slots=True)
class JourneyRunner:
    """Runner of journeys: enrols customers by recorded events and advances enrolments that are due.

    Attributes:
        send: Puts a message into the stream and returns when Kafka has it.
        recorded: Returns the next offset of each log that this worker owns, by source.
        is_owned: Returns whether this worker owns the partition of a customer, by tenant and customer. Two workers may
            both believe so without harm.
        clock: Returns epoch milliseconds.
        refresh_s: Longest age of the journey definitions.
        known: Definitions of journeys.
    """

    store: Store
    send: Callable[[Message], Awaitable[None]]
    recorded: Callable[[], Mapping[str, int]]
    is_owned: Callable[[str, str], bool]
    clock: Callable[[], int]
    refresh_s: float
    known: JourneyCache = field(init=False)
    _advancer: JourneyAdvancer = field(init=False)
    _noted: dict[str, list[_EntryEvents]] = field(default_factory=dict)
    _count: int = 0
    _checked: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = JourneyCache(self.store, self.refresh_s)
        self._advancer = JourneyAdvancer(self.store, self.known, self.send, self._positions, self.clock)

    def note(self, ranges: Iterable[AppliedRange], accepted: pl.DataFrame) -> None:
        """Keep the entry events of a recorded batch in memory until the next pass.

        Args:
            ranges: The recorded offsets of the batch.
            accepted: Accepted events of these ranges, with the columns of the history.
        """
        wanted = self.known.entry_outcomes
        if not wanted or self._count > MAX_NOTED:
            return
        by_source: defaultdict[str, list[tuple[int, EntryEvent]]] = defaultdict(list)
        if not accepted.is_empty():
            outcomes = sorted({outcome for _, outcome in wanted})
            for row in accepted.filter(pl.col("outcome").is_in(outcomes)).iter_rows(named=True):
                if (row["tenant_id"], row["outcome"]) in wanted:
                    by_source[row["source"]].append((row["offset"], entry_event_from_row(row)))
        for applied in ranges:
            self._noted.setdefault(applied.source, []).append(_EntryEvents(applied, by_source[applied.source], wanted))
            self._count += len(by_source[applied.source])

    async def run(self) -> None:
        """Enrol customers and advance those who are due; an error of one does not stop the other.

        Raises:
            PartialFailureError: Some customers could not be enrolled or advanced.
        """
        await asyncio.to_thread(self.known.refresh)
        await run_for_each([self.enrol_customers, self.advance_due], lambda work: work())

    async def enrol_customers(self) -> None:
        """Enrol customers by the events that have been recorded since the last pass.

        Reads the recorded offsets first and loads the journeys afterwards, so that every journey that existed when one
        of these events was recorded is known.
        """
        noted, self._noted, self._count = self._noted, {}, 0
        recorded = dict(self.recorded())
        if recorded != self._checked:
            await asyncio.to_thread(self.known.refresh, at_once=True)
            self._checked = recorded
        if self.known.entries and recorded:
            await asyncio.to_thread(self._enrol, noted, recorded)

    async def advance_due(self) -> None:
        """Advance the enrolments whose wait is over."""
        now_ms = self.clock()
        due = await asyncio.to_thread(
            find_due, self.store, self.known.tenants.keys(), self.known.paused, now_ms, MAX_DUE
        )
        mine = [key for key in due if self.is_owned(key[0], key[1])][:MAX_ADVANCED]  # tenants alternate in `due`
        if mine:
            states = await asyncio.to_thread(load_enrolments, self.store, mine)
            states = await asyncio.to_thread(end_duplicate_enrolments, self.store, self.known, states, now_ms)
            advanced = await self._advancer.advance(states)
            log.info("customers moved on in journeys", customers=len(states), states=advanced)

    def _positions(self) -> Mapping[str, int]:
        """Return the next offset of each partition that this worker owns, by partition number."""
        return {source.rpartition("/")[2]: offset for source, offset in self.recorded().items()}

    def _enrol(self, noted: Mapping[str, Sequence[_EntryEvents]], recorded: Mapping[str, int]) -> None:
        reached = read_journey_progress(self.store, recorded.keys())
        events: list[EntryEvent] = []
        unchecked: list[OffsetRange] = []
        for source, until in recorded.items():
            position = reached.get(source, 0)
            for entry in noted.get(source, ()):
                is_elsewhere = entry.applied.until_offset <= position or entry.applied.from_offset >= until
                if is_elsewhere or not self.known.entry_outcomes <= entry.wanted:
                    continue
                if entry.applied.from_offset > position:
                    unchecked.append(OffsetRange(source, position, entry.applied.from_offset))
                events += [event for offset, event in entry.events if offset >= position]
                position = entry.applied.until_offset
            if position < until:
                unchecked.append(OffsetRange(source, position, until))
        events = self._read_missed(unchecked) + events
        enrolled = enrol_by_events(self.store, self.known, events, self.clock()) if events else 0
        ahead = {source: until for source, until in recorded.items() if until > reached.get(source, 0)}
        if ahead:
            write_journey_progress(self.store, ahead)
        if enrolled:
            log.info("customers entered journeys", customers=enrolled)

    def _read_missed(self, unchecked: Sequence[OffsetRange]) -> list[EntryEvent]:
        """Read from the history the entry events in ranges of logs that have not been checked."""
        if not unchecked:
            return []
        wanted = self.known.entry_outcomes
        since_ms = min(entry.since_ms for entry in self.known.entries)
        tenants, outcomes = {tenant for tenant, _ in wanted}, {outcome for _, outcome in wanted}
        return read_entry_events(self.store, unchecked, tenants, outcomes, since_ms)
