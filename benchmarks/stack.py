"""Broker, ClickHouse and Valkey for the length of a benchmark, on loopback, in a directory that is then removed."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode, urlsplit

from benchmarks.workloads import PARTITIONS, TENANT
from rapport.embedded.supervisor.ports import LOOPBACK
from rapport.kafka.clients import make_producer
from rapport.kafka.topics import create_topics
from rapport.settings import ClickHouseSettings, KafkaSettings, Secret, Settings
from rapport.storage.client import connect
from rapport.storage.migrations import migrate
from rapport.storage.tenants import create_tenant
from tests.fixtures.clickhouse import EndpointProcess
from tests.fixtures.kafka import BrokerKind, BrokerServer, KafkaServer, TansuServer
from tests.fixtures.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aiokafka.producer.message_accumulator import BatchBuilder

    from benchmarks.workloads import Message

FILL_BATCH_BYTES = 256 * 1024
_REQUEST_SECONDS = 120.0
_OURS = ("KAFKA_", "CLICKHOUSE_", "RAPPORT_")


def exit_on_sigterm() -> None:
    """Let the process end in an orderly way on SIGTERM, so that its processes are stopped and its data removed."""

    def leave(_signal: int, _frame: object) -> NoReturn:
        sys.exit(143)

    signal.signal(signal.SIGTERM, leave)


class SqlClient:
    """One kept-alive connection for the benchmark's own queries; not thread-safe."""

    def __init__(self, url: str, database: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or LOOPBACK, parts.port, timeout=_REQUEST_SECONDS)
        self._database = database
        self._headers = {"X-ClickHouse-User": parts.username or "default", "X-ClickHouse-Key": parts.password or ""}

    def ask(self, statement: str) -> list[list[str]]:
        """Run a statement and return the rows of its answer, as text.

        Raises:
            RuntimeError: ClickHouse refuses.
        """
        path = "/?" + urlencode({"database": self._database, "default_format": "TabSeparated"})
        self._connection.request("POST", path, statement.encode(), self._headers)
        response = self._connection.getresponse()
        text = response.read().decode()
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{statement}: {text}")
        return [line.split("\t") for line in text.splitlines()]

    def number(self, statement: str) -> int:
        """Run a statement that answers one number; return 0 where it answers none."""
        rows = self.ask(statement)
        return int(rows[0][0]) if rows and rows[0][0] not in ("", "\\N") else 0

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Stack:
    """A running broker, ClickHouse and Valkey.

    Attributes:
        work_dir: Holds their data and the logs of all processes.
        broker: The broker.
    """

    def __init__(self, work_dir: Path, broker: BrokerServer, clickhouse: EndpointProcess, valkey: RedisServer) -> None:
        self.work_dir = work_dir
        self.broker = broker
        self._clickhouse = clickhouse
        self._valkey = valkey

    @property
    def kind(self) -> BrokerKind:
        """Kind of the broker."""
        return self.broker.kind

    def settings(self, topic: str, database: str) -> Settings:
        """Return the settings of a process that works on a topic and a database."""
        kafka = KafkaSettings(
            bootstrap=self.broker.bootstrap,
            topic=topic,
            partitions=PARTITIONS,
            group_id=f"bench-{database}",
            idempotent_producer=self.kind == "kafka",
        )
        clickhouse = ClickHouseSettings(url=self._clickhouse.url, database=database)
        return Settings(kafka=kafka, clickhouse=clickhouse, state_url=Secret(self._valkey.url))

    def sql(self, database: str = "default") -> SqlClient:
        """Open a connection for queries."""
        return SqlClient(self._clickhouse.url, database)

    @contextlib.contextmanager
    def fresh_database(self, topic: str, name: str) -> Iterator[Settings]:
        """Make a database with our schema and the tenant; drop it at the end, so that no merges disturb other runs."""
        settings = self.settings(topic, name)
        migrate(settings.clickhouse)
        try:
            with contextlib.closing(connect(settings.clickhouse)) as store:
                create_tenant(store, TENANT)
            yield settings
        finally:
            with contextlib.suppress(OSError, RuntimeError), contextlib.closing(self.sql()) as sql:
                sql.ask(f"DROP DATABASE IF EXISTS {name} SYNC")


@contextlib.contextmanager
def run_stack(kind: BrokerKind) -> Iterator[Stack]:
    """Start a broker, a ClickHouse and a Valkey; stop them and remove their data at the end, even after an error."""
    with tempfile.TemporaryDirectory(prefix="rapport-bench-", ignore_cleanup_errors=True) as directory:
        work_dir = Path(directory)
        broker: BrokerServer = (KafkaServer if kind == "kafka" else TansuServer)(work_dir / "broker")
        clickhouse = EndpointProcess(work_dir / "clickhouse")
        with contextlib.ExitStack() as running:
            broker.start()
            running.callback(broker.stop)
            clickhouse.start()
            running.callback(clickhouse.stop)
            valkey = RedisServer(work_dir)
            valkey.start()
            running.callback(valkey.kill)
            yield Stack(work_dir, broker, clickhouse, valkey)


def make_environment(settings: Settings, **more: str) -> dict[str, str]:
    """Make the environment of a process that uses these settings, without the caller's own settings."""
    kafka, clickhouse = settings.kafka, settings.clickhouse
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    given: Mapping[str, str] = {
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "KAFKA_TOPIC": kafka.topic,
        "KAFKA_DEAD_LETTER_TOPIC": kafka.dead_letter_topic,
        "KAFKA_PARTITIONS": str(kafka.partitions),
        "KAFKA_GROUP_ID": kafka.group_id,
        "KAFKA_IDEMPOTENT_PRODUCER": str(kafka.idempotent_producer).lower(),
        "CLICKHOUSE_URL": clickhouse.url,
        "CLICKHOUSE_DATABASE": clickhouse.database,
        "RAPPORT_STATE_URL": settings.state_url.reveal(),
    }
    return {**inherited, **given, **more}


async def fill_topic(settings: KafkaSettings, messages: Iterable[Message]) -> None:
    """Create a topic where it is missing, and append messages in record batches, as a busy producer sends them."""
    await create_topics(settings)
    async with make_producer(settings, max_batch_size=FILL_BATCH_BYTES) as sender:
        builders: dict[int, BatchBuilder] = {}
        sent: list[asyncio.Future[object]] = []

        async def send(partition: int) -> None:
            builder = builders.pop(partition)
            builder.close()
            sent.append(await sender.send_batch(builder, settings.topic, partition=partition))

        for message in messages:
            builder = builders.setdefault(message.partition, sender.create_batch())
            if builder.append(timestamp=None, key=message.key, value=message.value) is None:
                await send(message.partition)
                builder = builders[message.partition] = sender.create_batch()
                builder.append(timestamp=None, key=message.key, value=message.value)
        for partition in list(builders):
            await send(partition)
        await asyncio.gather(*sent)
