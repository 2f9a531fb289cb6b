"""How to connect to Kafka: one place turns settings into client options."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

if TYPE_CHECKING:
    from rapport.settings import KafkaSettings

MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""Largest message a client sends: a dead letter is a little larger than the message it holds."""
START_S: Final = 2.0
"""How long a client that is starting is waited for when nobody wants it any more."""


def security_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options every aiokafka client takes."""
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


def admin_client(settings: KafkaSettings) -> AIOKafkaAdminClient:
    """An admin client, not yet started."""
    return AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, **security_options(settings))


def log_reader(settings: KafkaSettings) -> AIOKafkaConsumer:
    """A consumer outside any group, for looking into a log; not yet started."""
    return AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=MAX_REQUEST_BYTES,
        **security_options(settings),
    )


def producer(settings: KafkaSettings, **options: object) -> AIOKafkaProducer:
    """A producer whose acknowledged messages are in the log of every in-sync replica; not yet started."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        acks="all",
        enable_idempotence=settings.idempotent_producer,
        max_request_size=MAX_REQUEST_BYTES,
        **{"linger_ms": 5, "max_batch_size": 256 * 1024, **options},
        **security_options(settings),
    )


async def start(client: AIOKafkaAdminClient | AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Start a client. Whoever is cancelled meanwhile waits until it has started, and must close it as always.

    aiokafka forgets the connection it is just opening if its start is cancelled.

    Raises:
        KafkaError: The cluster does not answer.
    """
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=START_S)
        if not starting.cancel():
            starting.exception()  # seen
        raise
