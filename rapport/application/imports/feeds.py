"""Feeds of events to send: encoded events in chunks, and the faulty lines between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rapport.domain.events import InteractionRecorded, encode_event, make_message_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CHUNK_EVENTS = 2_000


class Message(NamedTuple):
    """One event, ready to send: ``tenantId:customerId`` and the event's JSON."""

    key: bytes
    value: bytes


class LineFault(NamedTuple):
    """Fault of a line (in a table: of a row).

    Attributes:
        number: Counts from 1; of a record over several lines, the first.
        code: A :class:`rapport.domain.rejections.RejectionCode`, or a code for a fault of the file.
        detail: One sentence for a person.
    """

    number: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a feed.

    Attributes:
        entries: In the order of the input.
        position: Part of the feed's size that has been read up to the end of this chunk.
    """

    entries: Sequence[Message | LineFault]
    position: int


@dataclass(frozen=True, slots=True)
class Feed:
    """All events that one run sends.

    Attributes:
        name: Shown to people.
        size: In the unit of the chunks' positions (bytes of a text file, rows of a table, events).
        chunks: Read lazily; a feed can be read once.
    """

    name: str
    size: int
    chunks: Iterator[Chunk]


def encode_message(event: InteractionRecorded) -> Message:
    """Encode a valid event."""
    return Message(make_message_key(event.tenant_id, event.customer_id), encode_event(event))


def build_feed(name: str, size: int, events: Iterable[Message]) -> Feed:
    """Build a feed of a known number of messages."""
    return Feed(name, size, _split_into_chunks(events))


def _split_into_chunks(messages: Iterable[Message]) -> Iterator[Chunk]:
    pending: list[Message] = []
    position = 0
    for message in messages:
        pending.append(message)
        if len(pending) == CHUNK_EVENTS:
            position += len(pending)
            yield Chunk(pending, position)
            pending = []
    if pending:
        yield Chunk(pending, position + len(pending))
