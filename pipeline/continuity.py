"""Continuity of a batch with the recorded progress: messages that Faust or Kafka skipped are read again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from rapport.kafka.log import LogReader, open_log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.batch import Partition, Record
    from rapport.settings import KafkaSettings

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Continuation:
    """Messages of a batch that continue the recorded progress.

    Attributes:
        slices: Messages to apply, by partition; none below the recorded progress.
        rewind: Partitions to read again, from which offset.
    """

    slices: dict[Partition, Sequence[Record]] = field(default_factory=dict)
    rewind: dict[Partition, int] = field(default_factory=dict)


def find_gap(records: Sequence[Record], expected: int) -> tuple[int, int, int] | None:
    """Find the first missing offset in ascending messages.

    Returns:
        (index of the message after the gap, first missing offset, that message's offset), or None.
    """
    if _is_contiguous(records, expected):
        return None
    for index, record in enumerate(records):
        if record.offset > expected:
            return index, expected, record.offset
        expected = max(expected, record.offset + 1)
    return None


async def continue_from(
    slices: Mapping[Partition, Sequence[Record]], next_offset: Mapping[Partition, int], kafka: KafkaSettings
) -> Continuation:
    """Cut a batch's slices to the messages that continue the recorded progress.

    A gap in the offsets is looked up in the log: if the log has none of the missing messages (compaction, transaction
    markers, retention), reading goes on; otherwise the partition is to be read again from there.

    Args:
        slices: Fetched messages by partition.
        next_offset: The recorded progress; slices of partitions without one are left out.
        kafka: Connection to the log.

    Raises:
        KafkaError: The log was queried for a gap and does not answer.
    """
    result = Continuation()
    for partition, fetched in slices.items():
        expected = next_offset.get(partition)
        if expected is None:
            continue
        if fetched and _is_contiguous(fetched, expected):
            result.slices[partition] = fetched
            continue
        records: Sequence[Record] = drop_repeated(fetched, expected)
        if find_gap(records, expected) is not None:
            records, missing_from = await _check_gaps(records, partition, expected, kafka)
            if missing_from is not None:
                result.rewind[partition] = missing_from
        if records:
            result.slices[partition] = records
    return result


def _is_contiguous(records: Sequence[Record], expected: int) -> bool:
    offsets = [record.offset for record in records]
    return offsets == list(range(expected, expected + len(offsets)))


async def _check_gaps(
    records: Sequence[Record], partition: Partition, expected: int, kafka: KafkaSettings
) -> tuple[Sequence[Record], int | None]:
    kept: list[Record] = []
    async with open_log(kafka) as reader:
        while (gap := find_gap(records, expected)) is not None:
            index, missing, found = gap
            kept += records[:index]
            if not await _is_absent(reader, partition, missing, found):
                log.warning("messages were not delivered", partition=partition.partition, first=missing, until=found)
                return kept, missing
            records, expected = records[index:], found
    return [*kept, *records], None


async def _is_absent(reader: LogReader, partition: Partition, missing: int, found: int) -> bool:
    first = await reader.find_first_at_or_after(partition, missing)
    return first is not None and first >= found


def drop_repeated(records: Sequence[Record], expected: int) -> list[Record]:
    """Drop messages below an offset, and repeated deliveries: a message must not be twice in a batch."""
    kept: list[Record] = []
    for record in records:
        if record.offset >= expected:
            kept.append(record)
            expected = record.offset + 1
    return kept
