"""Creation of topics before a worker joins, because Faust never sees a topic that appears later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from stamina import AsyncRetryingCaller

from rapport.kafka.clients import MAX_REQUEST_BYTES, finish_call, make_admin_client

if TYPE_CHECKING:
    from rapport.settings import KafkaSettings

log = structlog.get_logger(__name__)
_while_unavailable: Final = AsyncRetryingCaller(
    attempts=None, timeout=None, wait_initial=0.4, wait_max=5.0, wait_jitter=0.1
).on((KafkaError, OSError))


async def fetch_cluster_id(settings: KafkaSettings) -> str:
    """Fetch the cluster's id; part of every source's name.

    Raises:
        KafkaError: The cluster does not answer.
    """
    admin = make_admin_client(settings)
    try:
        await finish_call(admin.start())
        return str((await finish_call(admin.describe_cluster()))["cluster_id"])
    finally:
        await admin.close()


async def fetch_partitions(settings: KafkaSettings, topic: str) -> list[int]:
    """Fetch the numbers of a topic's partitions; none if it does not exist.

    Raises:
        KafkaError: The cluster does not answer.
    """
    admin = make_admin_client(settings)
    try:
        await finish_call(admin.start())
        topics = await finish_call(admin.describe_topics([topic]))
        return sorted(int(partition["partition"]) for described in topics for partition in described["partitions"])
    finally:
        await admin.close()


async def create_topics(settings: KafkaSettings) -> None:
    """Create the source and dead-letter topics where they are missing.

    Raises:
        KafkaError: The cluster does not answer or refuses.
    """
    admin = make_admin_client(settings)
    try:
        await finish_call(admin.start())
        existing = set(await finish_call(admin.list_topics()))
        wanted = [
            NewTopic(settings.topic, settings.partitions, settings.replication_factor),
            NewTopic(
                settings.dead_letter_topic,
                1,
                settings.replication_factor,
                topic_configs={"max.message.bytes": str(MAX_REQUEST_BYTES)},
            ),
        ]
        missing = [topic for topic in wanted if topic.name not in existing]
        if not missing:
            return
        answer = await finish_call(admin.create_topics(missing))
        for name, code, *message in answer.topic_errors:
            if code not in (0, TopicAlreadyExistsError.errno):
                raise for_code(code)(f"topic {name!r} cannot be created: {message[0] if message else code}")
    finally:
        await admin.close()


async def wait_for_topics(settings: KafkaSettings, *, poll_s: float = 1.0) -> str:
    """Wait until the cluster answers and the source topic exists, creating it if allowed.

    Returns:
        The cluster's id.
    """
    while True:
        cluster_id, has_topic = await _while_unavailable(_look, settings)
        if has_topic:
            return cluster_id
        log.warning("source topic does not exist yet", topic=settings.topic)
        await asyncio.sleep(poll_s)


async def _look(settings: KafkaSettings) -> tuple[str, bool]:
    """Return the cluster's id, and whether the source topic exists, after creating it if allowed."""
    try:
        cluster_id = await fetch_cluster_id(settings)
        if settings.create_topics:
            await create_topics(settings)
        return cluster_id, await _has_topic(settings, settings.topic)
    except (KafkaError, OSError) as error:
        log.warning("kafka does not answer", bootstrap=settings.bootstrap, error=str(error))
        raise


async def _has_topic(settings: KafkaSettings, topic: str) -> bool:
    admin = make_admin_client(settings)
    try:
        await finish_call(admin.start())
        return topic in await finish_call(admin.list_topics())
    finally:
        await admin.close()
