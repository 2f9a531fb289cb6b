"""A run of ``rapport produce``: sends a feed to Kafka and reports progress and faults."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rapport.application.imports.feeds import LineFault, Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rapport.application.imports.event_sender import EventSender
    from rapport.application.imports.feeds import Feed


class ProgressObserver(Protocol):
    """Receiver of a run's progress."""

    def report_fault(self, line: LineFault) -> None:
        """Report a line that was left out, in the order of the input."""

    def report_position(self, position: int, sent: int, faulty: int) -> None:
        """Report how much of the input has been read, and the numbers of entries handed on and of faulty lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProduceResult:
    """Result of a run.

    Attributes:
        events: Acknowledged by Kafka.
        faulty_lines: Not sent.
        seconds: From the first line read to the last acknowledgement.
        stopped_early: Whether a faulty line ended the run before the end of the feed.
    """

    events: int
    faulty_lines: int
    seconds: float
    stopped_early: bool

    @property
    def events_per_second(self) -> float:
        """Rate over the whole run."""
        return self.events / self.seconds if self.seconds > 0 else 0.0


async def produce(
    feed: Feed, sender: EventSender, observer: ProgressObserver, *, is_strict: bool = False
) -> ProduceResult:
    """Send a feed and wait until Kafka has acknowledged all of it.

    Args:
        feed: The events.
        sender: Sends them.
        observer: Receives progress and faults.
        is_strict: Stop at the first faulty line; the events before it are sent.

    Raises:
        SendError: Kafka does not accept the events.
    """
    started_at = time.perf_counter()
    sent = faulty_lines = 0
    stops = False
    for chunk in feed.chunks:
        entries, stops = _cut_at_fault(chunk.entries) if is_strict else (chunk.entries, False)
        messages = [entry for entry in entries if isinstance(entry, Message)]
        if len(messages) < len(entries):
            for line in (entry for entry in entries if isinstance(entry, LineFault)):
                observer.report_fault(line)
        await sender.add(messages)
        sent += len(messages)
        faulty_lines += len(entries) - len(messages)
        observer.report_position(chunk.position, sent, faulty_lines)
        if stops:
            break
    await sender.flush()
    seconds = time.perf_counter() - started_at
    return ProduceResult(
        events=sender.acknowledged_events, faulty_lines=faulty_lines, seconds=seconds, stopped_early=stops
    )


def _cut_at_fault(entries: Sequence[Message | LineFault]) -> tuple[Sequence[Message | LineFault], bool]:
    first = next((index for index, entry in enumerate(entries) if isinstance(entry, LineFault)), None)
    return (entries, False) if first is None else (entries[: first + 1], True)
