"""The Apache Kafka of the broker and fault tests; collected with RAPPORT_TEST_BROKER=kafka only."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from rapport.embedded.broker import read_cluster_id
from tests.fixtures.kafka import KafkaServer
from tests.fixtures.messages import consume, create_topic, list_topics, produce

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES = [b"one", b"two", b"three"]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    started_at = time.monotonic()
    server.start()
    print(f"Apache Kafka was formatted and started in {time.monotonic() - started_at:.1f} s")
    yield server
    server.stop()


def test_the_server_has_the_cluster_id_it_was_formatted_with(kafka: KafkaServer):
    assert asyncio.run(read_cluster_id(kafka.bootstrap)) == kafka.cluster_id


def test_topics_are_not_created_by_metadata_requests(kafka: KafkaServer):
    async def ask() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        try:
            await admin.start()
            await admin.describe_topics(["typo"])
        finally:
            await admin.close()

    asyncio.run(ask())
    assert "typo" not in asyncio.run(list_topics(kafka.bootstrap))


def test_acknowledged_messages_survive_kill_and_restart(kafka: KafkaServer):
    asyncio.run(create_topic(kafka.bootstrap, "interactions"))
    assert asyncio.run(produce(kafka.bootstrap, "interactions", VALUES)) == [0, 1, 2]
    bootstrap, cluster_id, pid = kafka.bootstrap, kafka.cluster_id, kafka.pid
    kafka.kill()
    started_at = time.monotonic()
    kafka.restart()
    print(f"Apache Kafka was restarted after SIGKILL in {time.monotonic() - started_at:.1f} s")
    assert (kafka.bootstrap, kafka.cluster_id) == (bootstrap, cluster_id)
    assert kafka.pid != pid
    assert asyncio.run(consume(bootstrap, "interactions", 3)) == VALUES
    assert asyncio.run(produce(bootstrap, "interactions", [b"four"])) == [3]
