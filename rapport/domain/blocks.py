"""Blocks of a source's log: runs of messages whose bounds follow from the messages alone.

A block ends once it has so many events, or is so old, and the next message begins another. Whoever reads the log, from
wherever and in whatever batches, comes to the same bounds: so a summary row that counts one block is a function of the
log, and workers that overtake each other write the same rows.

Age is the broker's time, because a worker that starts counts the open block in the history: its events must be younger
than those that retention deletes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

LONGEST_MS: Final = 6 * 3_600_000
"""Messages of a block are received within this time of its first one, by the broker's clock; shorter than a day, the
shortest retention, by as long as a worker may be behind."""


class BlockPlace(NamedTuple):
    """Place in a block of a log.

    Attributes:
        block: Number of the block; the first of a log is 1.
        first_offset: Offset of the block's first message.
        events: Events of the block before this place.
        began_ms: Broker time of the block's first message, epoch milliseconds; 0 before it.
    """

    block: int
    first_offset: int
    events: int
    began_ms: int


class LogPosition(NamedTuple):
    """Position of a reader in a log.

    Attributes:
        next_offset: Offset of the next message.
        place: Where that is among the blocks; the next message itself may begin another block.
    """

    next_offset: int
    place: BlockPlace


class BlockStart(NamedTuple):
    """Start of a block: messages from this offset on are in it, up to the next start."""

    offset: int
    block: int


def begin_blocks(next_offset: int) -> LogPosition:
    """Return the position of a reader for whom blocks begin with its next message."""
    return LogPosition(next_offset, BlockPlace(1, next_offset, 0, 0))


class BlockMessage(NamedTuple):
    """Properties of a message that bound blocks.

    Attributes:
        events: As :func:`count_events` counts them.
        received_ms: Broker time, epoch milliseconds.
    """

    offset: int
    events: int
    received_ms: int


def pass_messages(
    place: BlockPlace, messages: Iterable[BlockMessage], block_events: int
) -> tuple[BlockPlace, Sequence[BlockStart]]:
    """Go past some messages.

    Args:
        place: Where the first message is.
        messages: The messages, by ascending offset.
        block_events: With so many events a block is complete.

    Returns:
        The place after the last message, and the starts of the blocks that begin on the way.
    """
    block, first_offset, events, began_ms = place
    starts: list[BlockStart] = []
    for offset, count, received_ms in messages:
        if not events:
            began_ms = received_ms
        elif events >= block_events or received_ms - began_ms >= LONGEST_MS:
            block, first_offset, events, began_ms = block + 1, offset, 0, received_ms
            starts.append(BlockStart(offset, block))
        events += count
    return BlockPlace(block, first_offset, events, began_ms), starts


def count_events(value: bytes) -> int:
    """Estimate the events in a message without decoding it: an array has as many as it has idempotency keys.

    Blocks are bounded by this number, so it must never change for a message.
    """
    return value.count(b'"idempotencyKey"') or 1 if value[:1] == b"[" else 1
