"""The dead-letter topic. Letters on it are cut to sizes that every broker takes; the table has them in full."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError

if TYPE_CHECKING:
    import faust

    from rapport.storage.stream import DeadLetter

MAX_VALUE_BYTES: Final = 512 * 1024
MAX_KEY_BYTES: Final = 64 * 1024
MAX_DETAIL_BYTES: Final = 8 * 1024
"""The three limits together stay far below the 1,048,588 bytes that a broker takes by default, even uncompressed."""


def make_dead_letter_sender(app: faust.App, topic: str) -> Callable[[Sequence[DeadLetter]], Awaitable[None]]:
    """Return a function that puts letters on the topic and returns when Kafka has them.

    The function raises a KafkaError, which may be transient, and no other error that Kafka causes.
    """
    letters = app.topic(topic, value_type=bytes, key_type=bytes, value_serializer="raw")

    async def send(dead: Sequence[DeadLetter]) -> None:
        try:
            sent = [
                await letters.send(
                    key=letter.key[:MAX_KEY_BYTES],
                    value=letter.value[:MAX_VALUE_BYTES],
                    headers=make_headers(letter),
                    partition=0,
                )
                for letter in dead
            ]
        except ProducerSendError as error:
            raise error.__cause__ if isinstance(error.__cause__, KafkaError) else error from None
        await asyncio.gather(*sent)

    return send


def make_headers(letter: DeadLetter) -> Mapping[str, bytes]:
    """Return a letter's headers: reason, source, offset, item, and the full size of a key or value that was cut."""
    headers = {
        "code": letter.code.encode(),
        "detail": letter.detail.encode("utf-8", "replace")[:MAX_DETAIL_BYTES],
        "source": letter.source.encode(),
        "offset": str(letter.offset).encode(),
        "item": str(letter.item).encode(),
    }
    if len(letter.value) > MAX_VALUE_BYTES:
        headers["value-bytes"] = str(len(letter.value)).encode()
    if len(letter.key) > MAX_KEY_BYTES:
        headers["key-bytes"] = str(len(letter.key)).encode()
    return headers
