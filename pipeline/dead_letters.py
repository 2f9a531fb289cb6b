"""Dead letters for messages, and for items of them, that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.domain.rejections import Rejection, RejectionCode
from rapport.domain.times import LATEST_MS
from rapport.storage.stream import DeadLetter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.batch import Record
    from pipeline.dedup import Conflict
    from rapport.kafka.sources import Source


def make_dead_letter(source: Source, record: Record, index: int, item: bytes, rejection: Rejection) -> DeadLetter:
    """Make the dead letter of one message, or of one item of it."""
    return DeadLetter(
        tenant_id=rejection.tenant_id,
        code=rejection.code.value,
        detail=rejection.detail,
        cluster_id=source.cluster_id,
        topic=source.topic,
        partition=source.partition,
        source=source.name,
        offset=record.offset,
        item=index,
        key=record.key or b"",
        value=item,
        received_at_ms=min(max(record.timestamp, 0), LATEST_MS),
    )


def make_conflict_letters(
    conflicts: Sequence[Conflict],
    slices: Mapping[Source, Sequence[Record]],
    items: Mapping[tuple[str, int], Sequence[bytes]],
) -> list[DeadLetter]:
    """Make the letters of events that reuse an idempotency key with other content.

    Args:
        conflicts: The events.
        slices: The messages of the batch.
        items: The JSON texts of the decoded batch.
    """
    by_offset = {(source.name, r.offset): (source, r) for source, records in slices.items() for r in records}
    letters: list[DeadLetter] = []
    for tenant_id, source_name, offset, index in conflicts:
        source, record = by_offset[source_name, offset]
        rejection = Rejection(
            RejectionCode.IDEMPOTENCY_CONFLICT,
            "Another event with this idempotencyKey but other content was recorded before; use a new key.",
            tenant_id,
        )
        letters.append(make_dead_letter(source, record, index, items[source_name, offset][index], rejection))
    return letters
