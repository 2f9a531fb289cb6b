"""Replay of a data set through Kafka, until the workers have applied all of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rapport.application.imports.event_sender import open_sender
from rapport.application.imports.run import produce
from rapport.kafka.topics import fetch_cluster_id
from rapport.storage.errors import TransientStorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from rapport.application.imports.feeds import Feed, LineFault
    from rapport.settings import Settings
    from rapport.storage.client import Store

POLL_S: Final = 0.1
STALL_S: Final = 120.0
"""Far longer than a killed worker takes to restart."""


class ReplayError(Exception):
    """The replay cannot be completed; the text says why."""


class _Progress(NamedTuple):
    next_offset: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionState:
    """State of one partition after the replay: offsets, and the worker of the last batch."""

    partition: int
    end_offset: int
    next_offset: int
    worker: str

    @property
    def lag(self) -> int:
        """Messages that are in the log and not in the tables."""
        return max(self.end_offset - self.next_offset, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Result of a replay.

    Attributes:
        events: Events sent, acknowledged and applied.
        sent_seconds: From the first event sent to the last acknowledged by the broker.
        applied_seconds: From the first event sent to the last one's rows in ClickHouse.
        partitions: Final state of the partitions.
    """

    events: int
    sent_seconds: float
    applied_seconds: float
    partitions: Sequence[PartitionState]


async def replay(feed: Feed, settings: Settings, store: Store, console: Console) -> Replay:
    """Send a feed to a stack that has applied nothing yet, and wait for the workers.

    Args:
        feed: Events to send.
        settings: Settings of the stack.
        store: Database of the stack.
        console: Console for the progress bars.

    Raises:
        ReplayError: No progress for a long time.
        SendError: The broker does not take the events.
    """
    kafka = settings.kafka
    source = {"cluster_id": await fetch_cluster_id(kafka), "topic": kafka.topic}
    async with open_sender(kafka) as sender:
        with _make_progress(console) as progress:
            watcher = _Watcher(feed, progress)
            started_at = time.perf_counter()
            sending = asyncio.create_task(produce(feed, sender, watcher))
            try:
                rows = await _await_workers(store, source, watcher, sending, sender.next_offsets)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            applied_seconds = time.perf_counter() - started_at
    sent = sending.result()
    return Replay(
        events=sent.events,
        sent_seconds=sent.seconds,
        applied_seconds=applied_seconds,
        partitions=[
            PartitionState(
                partition=number,
                end_offset=end,
                next_offset=rows[number].next_offset,
                worker=rows[number].worker,
            )
            for number, end in sorted(sender.next_offsets.items())
        ],
    )


async def _await_workers(
    store: Store,
    source: Mapping[str, str],
    watcher: _Watcher,
    sending: asyncio.Task[object],
    ends: Mapping[int, int],
) -> dict[int, _Progress]:
    applied, moved_at = -1, time.monotonic()
    while True:
        has_sent = sending.done()
        if has_sent:
            sending.result()
        rows = await _read_progress(store, source)
        now_applied = sum(row.next_offset for row in rows.values())
        watcher.report_applied(now_applied)
        if has_sent and all(number in rows and rows[number].next_offset >= end for number, end in ends.items()):
            return rows
        if now_applied != applied:
            applied, moved_at = now_applied, time.monotonic()
        elif time.monotonic() - moved_at > STALL_S:
            raise ReplayError(f"the workers have applied nothing for {STALL_S:.0f} s; their logs say why")
        await asyncio.sleep(POLL_S)


async def _read_progress(store: Store, source: Mapping[str, str]) -> dict[int, _Progress]:
    try:
        rows = await asyncio.to_thread(store.rows, "demo/progress", source)
    except TransientStorageError:  # it may have been killed; the supervisor restarts it
        return {}
    return {row["partition"]: _Progress(row["next_offset"], row["worker"]) for row in rows}


class _Watcher:
    def __init__(self, feed: Feed, progress: Progress) -> None:
        self._progress = progress
        self._sent = progress.add_task("sent to Kafka", total=feed.size)
        self._applied = progress.add_task("applied to summaries", total=feed.size)

    def report_fault(self, line: LineFault) -> None:
        self._progress.console.print(f"bad line {line.number}: {line.detail}", markup=False)

    def report_position(self, position: int, sent: int, faulty: int) -> None:  # noqa: ARG002 - as the protocol has it
        self._progress.update(self._sent, completed=position)

    def report_applied(self, count: int) -> None:
        self._progress.update(self._applied, completed=count)


def _make_progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
