"""Kafka clients: settings become client options in one place."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from rapport.kafka.decompression import limit_decompression

if TYPE_CHECKING:
    from rapport.settings import KafkaSettings

T = TypeVar("T")
MAX_BATCH_BYTES: Final = 960 * 1024
"""A full batch makes the next message wait until it is on its way, so several large ones have to fit. Below the
1,048,588 bytes that a broker takes by default."""
MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""Largest message a client sends: a dead letter is a little larger than the message it holds."""
FINISH_S: Final = 2.0
"""Longest time that a client may finish a cancelled call."""


def build_security_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the connection options that every aiokafka client takes."""
    options: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.reveal(),
        }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context(cafile=settings.ssl_cafile or None)
    return options


def make_admin_client(settings: KafkaSettings) -> AIOKafkaAdminClient:
    """Make an admin client, not yet started."""
    return AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, **build_security_options(settings))


def make_log_reader(settings: KafkaSettings) -> AIOKafkaConsumer:
    """Make a consumer outside any group, for reading at given offsets; not yet started."""
    limit_decompression()
    return AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=MAX_REQUEST_BYTES,
        fetch_max_wait_ms=25,  # a log reader wants the present messages, not future ones
        metadata_max_age_ms=10_000,
        **build_security_options(settings),
    )


def make_producer(settings: KafkaSettings, **options: object) -> AIOKafkaProducer:
    """Make a producer whose acknowledged messages are in the log of every in-sync replica; not yet started."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        acks="all",
        enable_idempotence=settings.idempotent_producer,
        max_request_size=MAX_REQUEST_BYTES,
        compression_type=None if settings.compression == "none" else settings.compression,
        **{"linger_ms": 5, "max_batch_size": MAX_BATCH_BYTES, **options},
        **build_security_options(settings),
    )


async def finish_call(doing: Coroutine[Any, Any, T]) -> T:
    """Await a client's call; if the caller is cancelled meanwhile, let the call finish first.

    aiokafka leaks the connection that it is just opening if it is cancelled.

    Raises:
        KafkaError: The cluster does not answer.
    """
    task = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_retrieve_error)  # else asyncio reports it as never retrieved
        await asyncio.wait([task], timeout=FINISH_S)
        task.cancel()
        raise


def _retrieve_error(task: asyncio.Future[Any]) -> None:
    """Retrieve the task's exception, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()
