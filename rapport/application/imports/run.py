"""One run of ``rapport produce``: a feed goes to Kafka, what is wrong with it to whoever watches."""

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
    """Is told how a run goes."""

    def report_bad(self, line: LineFault) -> None:
        """A line that was not sent, in the order of the input."""

    def report_position(self, position: int, sent: int, bad: int) -> None:
        """How much of the feed has been read, how many events handed to Kafka, how many lines were bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProduceResult:
    """What a run did.

    Attributes:
        events: Acknowledged by Kafka.
        bad_lines: Not sent.
        seconds: From the first line read to the last acknowledgement.
        stopped_early: Whether a bad line ended it before the end of the feed.
    """

    events: int
    bad_lines: int
    seconds: float
    stopped_early: bool

    @property
    def events_per_second(self) -> float:
        """The rate over the whole run."""
        return self.events / self.seconds if self.seconds > 0 else 0.0


async def produce(
    feed: Feed, sender: EventSender, watcher: ProgressObserver, *, is_strict: bool = False
) -> ProduceResult:
    """Send a feed and wait until Kafka has acknowledged all of it.

    Args:
        feed: What to send.
        sender: Where to.
        watcher: Who is told.
        is_strict: Stop at the first bad line; what came before it is sent.

    Raises:
        SendError: Kafka does not take the events.
    """
    started_at = time.perf_counter()
    sent = bad_lines = 0
    stops = False
    for chunk in feed.chunks:
        entries, stops = _cut_at_fault(chunk.entries) if is_strict else (chunk.entries, False)
        messages = [entry for entry in entries if isinstance(entry, Message)]
        if len(messages) < len(entries):
            for line in (entry for entry in entries if isinstance(entry, LineFault)):
                watcher.report_bad(line)
        await sender.add(messages)
        sent += len(messages)
        bad_lines += len(entries) - len(messages)
        watcher.report_position(chunk.position, sent, bad_lines)
        if stops:
            break
    await sender.flush()
    seconds = time.perf_counter() - started_at
    return ProduceResult(events=sender.acknowledged_events, bad_lines=bad_lines, seconds=seconds, stopped_early=stops)


def _cut_at_fault(entries: Sequence[Message | LineFault]) -> tuple[Sequence[Message | LineFault], bool]:
    first = next((index for index, entry in enumerate(entries) if isinstance(entry, LineFault)), None)
    return (entries, False) if first is None else (entries[: first + 1], True)
