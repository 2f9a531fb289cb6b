"""Payload hashes of events: two events with the same idempotency key and the same values are one event sent twice.

Producers serialise again when they retry: keys come in another order, ``1.0`` as ``1``, a character as its escape, an
instant in another notation. So the values are compared, and never the text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

from rapport.domain.events import NO_OBJECT, InteractionRecorded, encode_event, encode_objects

_TYPE: Final = b'{"type":"interaction.recorded.v1",'
"""Beginning of an event's text if the producer names the type, which may be left out."""


class PayloadHashes(NamedTuple):
    """Hashes that tell a repetition from another event with the same idempotency key.

    Attributes:
        payload_hash: Hash of the values; the one that is stored.
        text_hash: Hash of the event's text. Claims from before values were compared hold it, and count until they lie
            beyond the horizon of deduplication.
    """

    payload_hash: int
    text_hash: int


def hash_payload(event: InteractionRecorded, occurred_at_ms: int) -> PayloadHashes:
    """Hash an event by its values, and by its text.

    Args:
        event: As :func:`~rapport.domain.events.decode_event` accepts it: nothing in it is too deep or too large to be
            read.
        occurred_at_ms: Its time as :func:`~rapport.domain.events.resolve_time` has it. It counts if the event names
            a time: one that names none happens when it is received, which differs from one sending to the next.
    """
    text = encode_event(event)
    text_hash = xxh3_64_intdigest(text)
    if _is_canonical(event, occurred_at_ms, text):
        return PayloadHashes(text_hash, text_hash)
    plain = msgspec.structs.replace(
        event,
        offer_id=event.offer_id or None,
        creative_id=event.creative_id or None,
        channel_id=event.channel_id or None,
        placement_id=event.placement_id or None,
        recommendation_id=event.recommendation_id or None,
        timestamp=None if event.timestamp is None else occurred_at_ms,
        context=NO_OBJECT,
        outcome_details=NO_OBJECT,
        metadata=NO_OBJECT,
    )
    plain_text = encode_event(plain).replace(_TYPE, b"{", 1)
    return PayloadHashes(xxh3_64_intdigest(plain_text + _encode_canonical_objects(event)), text_hash)


def _is_canonical(event: InteractionRecorded, occurred_at_ms: int, text: bytes) -> bool:
    """Say whether the text is the only one for its values; a fast path for every event of the stream."""
    return (
        event.context is NO_OBJECT
        and event.outcome_details is NO_OBJECT
        and event.metadata is NO_OBJECT
        and (event.timestamp is None or (type(event.timestamp) is int and event.timestamp == occurred_at_ms))
        and b'""' not in text
        and not text.startswith(_TYPE)
    )


def _encode_canonical_objects(event: InteractionRecorded) -> bytes:
    """Encode the free-form objects with sorted keys, no spaces, and one notation per number and character.

    Numbers that a reader with doubles takes for the same are the same, but for integers, which count digit by digit:
    they may be ids. Absent and null are the same.
    """
    objects = encode_objects(event)
    return b"" if objects == b"[null,null,null]" else _encode(_decode(objects))


def _parse_number(text: str) -> int | float:
    number = float(text)
    return int(Decimal(text)) if number.is_integer() else number


_decode: Final = msgspec.json.Decoder(Any, float_hook=_parse_number).decode
_encode: Final = msgspec.json.Encoder(order="sorted").encode
