"""What there is to send: encoded events in chunks, and the lines that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rapport.domain.events import InteractionRecorded, encode_event, message_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CHUNK_EVENTS = 2_000


class Message(NamedTuple):
    """One event, ready to send: ``tenantId:customerId`` and the event's JSON."""

    key: bytes
    value: bytes


class LineFault(NamedTuple):
    """A line (of a table: a row) that is no event.

    Attributes:
        number: Counts from 1; of a record over several lines, the first.
        code: A :class:`rapport.domain.events.RejectionCode`, or what is wrong with the file there.
        detail: One sentence for a person.
    """

    number: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a feed.

    Attributes:
        entries: In the order of the input.
        position: How much of the feed's size has been read with this chunk.
    """

    entries: Sequence[Message | LineFault]
    position: int


@dataclass(frozen=True, slots=True)
class Feed:
    """Everything that one run sends.

    Attributes:
        name: For people.
        size: In whatever unit the chunks' positions count (bytes of a text file, rows of a table, events).
        chunks: Read lazily; a feed can be read once.
    """

    name: str
    size: int
    chunks: Iterator[Chunk]


def encode_message(event: InteractionRecorded) -> Message:
    """Encode an event that is known to be valid."""
    return Message(message_key(event.tenant_id, event.customer_id), encode_event(event))


def build_feed(name: str, size: int, events: Iterable[Message]) -> Feed:
    """Make a feed of a known number of messages."""
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
