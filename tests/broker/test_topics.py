"""Topics exist before a worker joins, and the cluster's id is known."""

from __future__ import annotations

import asyncio
import uuid

from rapport.kafka.topics import create_topics, fetch_cluster_id, wait_for_topics
from rapport.settings import KafkaSettings
from tests.fixtures.kafka import BrokerServer
from tests.fixtures.messages import create_topic, list_topics


def settings_for(broker: BrokerServer, *, create: bool = True) -> KafkaSettings:
    name = f"t{uuid.uuid4().hex[:10]}"
    return KafkaSettings(
        bootstrap=broker.bootstrap, topic=name, dead_letter_topic=f"{name}.dead-letter", create_topics=create
    )


def test_creating_the_topics_is_idempotent(broker: BrokerServer) -> None:
    kafka = settings_for(broker)
    for _ in range(2):
        asyncio.run(create_topics(kafka))
    assert {kafka.topic, kafka.dead_letter_topic} <= set(asyncio.run(list_topics(broker.bootstrap)))


def test_the_cluster_id_is_fetched(broker: BrokerServer) -> None:
    assert asyncio.run(fetch_cluster_id(settings_for(broker))) == broker.cluster_id


def test_a_worker_without_the_right_to_create_topics_waits_for_them(broker: BrokerServer) -> None:
    kafka = settings_for(broker, create=False)

    async def wait_and_create() -> str:
        waiting = asyncio.create_task(wait_for_topics(kafka, poll_s=0.1))
        done, _ = await asyncio.wait({waiting}, timeout=1)
        assert not done
        await create_topic(broker.bootstrap, kafka.topic)
        return await asyncio.wait_for(waiting, 20)

    assert asyncio.run(wait_and_create()) == broker.cluster_id
