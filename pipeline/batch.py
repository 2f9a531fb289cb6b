"""A micro-batch: consecutive messages of one or more partitions, as they came from the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from rapport.domain.blocks import BlockMessage, BlockStart, LogPosition, count_events, pass_messages


class Record(Protocol):
    """A Kafka message; aiokafka's records have this shape."""

    @property
    def offset(self) -> int:
        """Position in the partition's log."""

    @property
    def timestamp(self) -> int:
        """Broker time, epoch milliseconds."""

    @property
    def key(self) -> bytes | None:
        """Raw key."""

    @property
    def value(self) -> bytes | None:
        """Raw value."""


class Partition(NamedTuple):
    """A topic's partition; equal to the clients' own types, which are such tuples too."""

    topic: str
    partition: int


class AppliedRange(NamedTuple):
    """Offsets of one source whose events are all in the history: from ``from_offset`` up to before ``until_offset``."""

    source: str
    from_offset: int
    until_offset: int


class FetchedRecord(NamedTuple):
    """A message taken from Faust's stock consumer path."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Batch:
    """Messages that are applied and acknowledged together.

    Attributes:
        generation: The consumer group's generation in which it was fetched; a batch of an older one is stale.
        max_events: With so many events it is full. The message that reaches the limit is still taken.
        max_bytes: With so many bytes of values it is full.
        slices: The messages, by partition.
        events: Estimated number of events.
        size_bytes: Sum of the messages' values.
    """

    generation: int
    max_events: int = 1 << 31
    max_bytes: int = 1 << 31
    slices: dict[Partition, list[Record]] = field(default_factory=dict)
    events: int = 0
    size_bytes: int = 0

    @property
    def is_full(self) -> bool:
        """Whether a limit is reached."""
        return self.events >= self.max_events or self.size_bytes >= self.max_bytes

    def take(self, fetched: Mapping[Partition, Sequence[Record]]) -> dict[Partition, Sequence[Record]]:
        """Append messages until the batch is full.

        Returns:
            The messages that did not fit, by partition.
        """
        left_over: dict[Partition, Sequence[Record]] = {}
        for partition, records in fetched.items():
            taken = self._count(records)
            if taken:
                self.slices.setdefault(partition, []).extend(records[:taken])
            if taken < len(records):
                left_over[partition] = records[taken:]
        return left_over

    def halves(self) -> Sequence[Batch]:
        """Split into two batches of half the messages each, in order; none if there is one message at most."""
        messages = [(partition, record) for partition, records in self.slices.items() for record in records]
        middle = len(messages) // 2
        if not middle:
            return ()
        halves = Batch(self.generation), Batch(self.generation)
        for half, part in zip(halves, (messages[:middle], messages[middle:]), strict=True):
            for partition, record in part:
                half.slices.setdefault(partition, []).append(record)
        return halves

    def _count(self, records: Sequence[Record]) -> int:
        """Count messages in until the batch is full, and return how many fit."""
        for taken, record in enumerate(records):
            if self.is_full:
                return taken
            value = record.value or b""
            self.size_bytes += len(value)
            self.events += count_events(value)
        return len(records)


def pass_records(
    start: LogPosition, records: Sequence[Record], block_events: int
) -> tuple[LogPosition, Sequence[BlockStart]]:
    """Return the position after some messages from a position on, and the starts of blocks on the way."""
    messages = (
        BlockMessage(record.offset, count_events(record.value or b""), max(record.timestamp, 0)) for record in records
    )
    place, begun = pass_messages(start.place, messages, block_events)
    return LogPosition(records[-1].offset + 1 if records else start.next_offset, place), begun
