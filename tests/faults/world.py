"""One stream for a fault test: a topic, a database, workers to start and kill, and the expected results."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from rapport.embedded.supervisor.child import wrap
from rapport.embedded.supervisor.ports import find_free_port
from rapport.kafka.clients import make_log_reader
from rapport.settings import Settings, from_env
from rapport.state.change_announcer import make_change_announcer
from rapport.storage.client import Store, connect
from rapport.storage.migrations import migrate
from rapport.storage.reconcile import reconcile
from rapport.storage.tenants import create_tenant
from tests.faults.events import encode
from tests.faults.oracle import Oracle
from tests.fixtures.deadlines import wait_until
from tests.fixtures.processes import run_in_keeper

PARTITIONS = 3
ROOT = Path(__file__).parents[2]


class Worker:
    """A worker process."""

    def __init__(self, env: Mapping[str, str], log: Path, module: str) -> None:
        self.port = int(env["RAPPORT_WORKER_PORT"])
        self._log = log
        self._log_file = log.open("ab")
        self._process = run_in_keeper(
            lambda: subprocess.Popen(
                wrap([sys.executable, "-m", module, *(["worker"] if module == "rapport" else [])], os.getpid()),
                env=dict(env),
                cwd=ROOT,
                stdout=self._log_file,
                stderr=subprocess.STDOUT,
            )
        )

    @property
    def output(self) -> str:
        """Its log so far."""
        return self._log.read_text("utf-8", "replace")

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs, negative for a signal."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; harmless if it is gone."""
        if self.exit_code is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self.send(signal.SIGKILL)
        self._end()

    def stop(self) -> int:
        """End the process with SIGTERM and return its exit code."""
        self.send(signal.SIGTERM)
        return self._end()

    def wait_dead(self, seconds: float = 60.0) -> int:
        """Wait until the process has ended by itself."""
        wait_until(lambda: self.exit_code is not None, f"the worker dies\n{self.output[-3000:]}", seconds=seconds)
        return self._end()

    def _end(self) -> int:
        try:
            return self._process.wait(60)
        finally:
            self._log_file.close()


class World:
    """A topic and a database of their own, on a broker and a ClickHouse that may be shared.

    Args:
        bootstrap: The broker, as workers reach it.
        clickhouse_url: The ClickHouse.
        name: Names the topic, the group and the database.
        work_dir: Holds the workers' logs.
    """

    def __init__(self, bootstrap: str, clickhouse_url: str, name: str, work_dir: Path) -> None:
        self.name = name
        self.work_dir = work_dir
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "CLICKHOUSE_", "RAPPORT_"))},
            "KAFKA_BOOTSTRAP": bootstrap,
            "KAFKA_IDEMPOTENT_PRODUCER": "false",
            "KAFKA_TOPIC": name,
            "KAFKA_DEAD_LETTER_TOPIC": f"{name}.dead-letter",
            "KAFKA_GROUP_ID": name,
            "KAFKA_PARTITIONS": str(PARTITIONS),
            "CLICKHOUSE_URL": clickhouse_url,
            "CLICKHOUSE_DATABASE": name,
            "CLICKHOUSE_TIMEOUT_S": "10",
            "RAPPORT_WORKER_BATCH_MAX_EVENTS": "150",
            "RAPPORT_WORKER_BATCH_MAX_AGE_MS": "20",
            "RAPPORT_WORKER_BLOCK_EVENTS": "150",
            "RAPPORT_LOG_FORMAT": "json",
        }
        self.oracle = Oracle()
        self.produced: dict[int, int] = {}
        self.workers: list[Worker] = []
        self.store: Store

    @property
    def settings(self) -> Settings:
        """Settings of the processes of this world."""
        return from_env(self.env)

    def open(self, tenants: Sequence[str] = ("acme",)) -> None:
        """Create the database and the tenants."""
        migrate(self.settings.clickhouse)
        announcer = make_change_announcer(self.settings.state_url)
        self.store = connect(self.settings.clickhouse, announcer=announcer)
        for tenant in tenants:
            create_tenant(self.store, tenant)

    def close(self) -> None:
        """End every worker and drop the database."""
        for worker in self.workers:
            worker.kill()
        self.store.execute(f"DROP DATABASE IF EXISTS {self.name} SYNC")
        self.store.close()

    @classmethod
    @contextmanager
    def opened(cls, bootstrap: str, clickhouse_url: str, name: str, work_dir: Path) -> Iterator[World]:
        """Open a world without tenants and workers under a name of its own, and close it."""
        world = cls(bootstrap, clickhouse_url, f"{name}{uuid.uuid4().hex[:8]}", work_dir)
        world.open(tenants=())
        try:
            yield world
        finally:
            world.close()

    def start_worker(self, *, module: str = "rapport", **env: str) -> Worker:
        """Start one more worker; `env` adds to its environment."""
        own = {"RAPPORT_WORKER_PORT": str(find_free_port())}
        worker = Worker({**self.env, **own, **env}, self.work_dir / f"worker-{len(self.workers)}.log", module)
        self.workers.append(worker)
        return worker

    def produce(
        self,
        events: Iterable[dict[str, Any]],
        *,
        partition: int | None = None,
        copies: int = 1,
        compression: str | None = None,
    ) -> None:
        """Send events, each in a message of its own, and count them in the oracle."""
        listed = list(events)
        for event in listed:
            self.oracle.add(event)
        values = [(event["customerId"].encode(), encode(event), partition) for event in listed for _ in range(copies)]
        self.produce_raw(values, compression=compression)

    def produce_arrays(self, events: Sequence[dict[str, Any]], size: int) -> None:
        """Send events as arrays, each of one partition's events, and count them in the oracle."""
        for start in range(0, len(events), size):
            chunk = events[start : start + size]
            for event in chunk:
                self.oracle.add(event)
            self.produce_raw([(b"array", encode(chunk), (start // size) % PARTITIONS)])

    def produce_raw(
        self, messages: Sequence[tuple[bytes | None, bytes | None, int | None]], *, compression: str | None = None
    ) -> list[tuple[int, int]]:
        """Send (key, value, partition) unchanged; return (partition, offset) of each."""
        return run_in_keeper(lambda: asyncio.run(self._send(messages, compression)))

    async def _send(
        self, messages: Sequence[tuple[bytes | None, bytes | None, int | None]], compression: str | None
    ) -> list[tuple[int, int]]:
        from rapport.kafka.topics import create_topics  # noqa: PLC0415 - after the environment is known

        await create_topics(self.settings.kafka)
        async with AIOKafkaProducer(
            bootstrap_servers=self.env["KAFKA_BOOTSTRAP"],
            acks="all",
            max_request_size=512 << 20,
            linger_ms=2,
            compression_type=compression,
        ) as producer:
            sent = [await producer.send(self.name, value, key=key, partition=p) for key, value, p in messages]
            positions = [(m.partition, m.offset) for m in [await future for future in sent]]
        for partition, offset in positions:
            self.produced[partition] = max(offset + 1, self.produced.get(partition, 0))
        return positions

    def read_dead_letter_topic(self) -> list[ConsumerRecord]:
        """Read the messages on the dead-letter topic."""
        return run_in_keeper(lambda: asyncio.run(self._read_dead_letter_topic()))

    async def _read_dead_letter_topic(self) -> list[ConsumerRecord]:
        place = TopicPartition(self.env["KAFKA_DEAD_LETTER_TOPIC"], 0)
        async with make_log_reader(self.settings.kafka) as consumer:
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            return list((await consumer.getmany(place, timeout_ms=10_000)).get(place, []))

    def applied(self) -> dict[int, int]:
        """Return the recorded progress by partition."""
        rows = self.store.rows("status/sources")
        return {row["partition"]: row["next_offset"] for row in rows}

    def wait_applied(self, seconds: float = 90.0) -> None:
        """Wait until everything that was produced has been applied; fail at once if no worker is left to do it."""

        def is_applied() -> bool:
            if self.applied() == self.produced:
                return True
            assert any(worker.exit_code is None for worker in self.workers), f"no worker is left\n{self.tails()}"
            return False

        try:
            wait_until(is_applied, "everything is applied", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.applied()} of {self.produced}\n{self.tails()}") from error

    def tails(self) -> str:
        """Return the last lines of every worker's log."""
        return "\n".join(f"--- worker {n}\n{w.output[-1500:]}" for n, w in enumerate(self.workers))

    def summaries(self) -> dict[tuple[str, ...], tuple[Any, ...]]:
        """Read the summary rows of scope offer, shaped like the oracle's."""
        found = self.store.client.query(
            "SELECT tenant_id, customer_id, period_type, period_key, ifNull(offer_id, ''), ifNull(creative_id, ''), "
            "ifNull(channel_id, ''), impressions, positive, negative, neutral, converts, total_value, "
            "toUnixTimestamp64Milli(last_contact_at), last_outcome, last_direction "
            "FROM interaction_summaries WHERE scope = 'offer'"
        ).result_rows
        return {row[:7]: row[7:] for row in found}

    def dead_letters(self) -> dict[tuple[int, int, int], str]:
        """Read the reason codes by (partition, offset, item)."""
        rows = self.store.client.query("SELECT partition, offset, item, code FROM dead_letters").result_rows
        return {row[:3]: row[3] for row in rows}

    def verify(self) -> None:
        """Compare history and summaries with the oracle, to the event and the cent, and reconcile them."""
        history = self.store.client.query(
            "SELECT tenant_id, customer_id, idempotency_key FROM interactions"
        ).result_rows
        assert len(history) == len(self.oracle.history)
        assert set(history) == self.oracle.history
        expected, found = self.oracle.table(), self.summaries()
        wrong = {
            key: (expected.get(key), found.get(key)) for key in expected | found if expected.get(key) != found.get(key)
        }
        assert not wrong, f"{len(wrong)} of {len(expected)} rows differ, such as {list(wrong.items())[:3]}"
        result = reconcile(self.store)
        assert result.is_clean, (result.drift_by_period(), result.double_counted)
        by_period = dict(result.totals.select("period_type", "contacts").iter_rows())
        assert len(set(by_period.values())) <= 1, by_period

    def sql(self, text: str) -> pl.DataFrame:
        """Run a query of the test's own."""
        return pl.DataFrame(self.store.client.query(text).result_rows, orient="row")
