"""Outages of Kafka and ClickHouse while clients write: every acknowledged response is in the history, once."""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from rapport.domain.api_keys import Role
from rapport.embedded.supervisor.ports import find_free_port
from rapport.storage.api_keys import create_key
from rapport.storage.reconcile import reconcile
from rapport.storage.tenants import change_tenant
from tests.faults.proxy import running_proxy
from tests.faults.world import World
from tests.fixtures.api import PEPPER
from tests.fixtures.api_process import running_api_process
from tests.fixtures.broker import choose_server
from tests.fixtures.clickhouse import EndpointProcess
from tests.fixtures.deadlines import wait_until

CLIENTS = 6
KEYS = 150


@dataclass
class Client:
    """Client that sends responses, each until it is acknowledged, and some of them again."""

    url: str
    key: str
    name: str
    rng: random.Random
    acknowledged: dict[str, set[str]] = field(default_factory=dict)
    refusals: set[int] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, headers={"X-API-Key": self.key}, timeout=30) as http:
            for number in range(KEYS):
                self._send(http, f"{self.name}-{number}")
                if self.acknowledged and self.rng.random() < 0.2:
                    self._send(http, self.rng.choice(list(self.acknowledged)))
                time.sleep(self.rng.random() * 0.04)  # a rate, so that the outages fall into it

    def _send(self, http: httpx.Client, key: str) -> None:
        body: dict[str, Any] = {
            "customerId": f"c{hash(key) % 20}",
            "creativeId": "cr",
            "channelId": "web",
            "outcome": "convert",
            "conversionValue": 1,
            "idempotencyKey": key,
        }
        while not self.stop.is_set():
            answer = http.post("/api/v1/respond", json=body)
            if answer.status_code in (200, 201):
                self.acknowledged.setdefault(key, set()).add(answer.json()["interactionId"])
                return
            self.refusals.add(answer.status_code)
            assert answer.status_code == 503, answer.text
            assert answer.headers["retry-after"]
            time.sleep(0.05)


@pytest.mark.slow
def test_every_acknowledged_response_is_in_the_history_exactly_once(tmp_path: Path, rng: random.Random) -> None:
    endpoint = EndpointProcess(tmp_path / "clickhouse")
    endpoint.start()
    with running_proxy(find_free_port()) as proxy:
        broker = choose_server()(tmp_path / "broker", proxy.port)
        proxy.target_port = int(broker.bootstrap.rpartition(":")[2])
        broker.start()
        world = World(proxy.address, endpoint.url, f"w{uuid.uuid4().hex[:10]}", tmp_path)
        world.open()
        try:
            change_tenant(world.store, "acme", requests_per_minute=1_000_000)
            key, _ = create_key(world.store, "acme", Role.EDITOR, PEPPER, 1)
            world.start_worker()
            with running_api_process(world, RAPPORT_API_KAFKA_TIMEOUT_S="1") as url:
                clients = [Client(url, key, f"k{n}", random.Random(rng.random())) for n in range(CLIENTS)]
                threads = [threading.Thread(target=client.run) for client in clients]
                for thread in threads:
                    thread.start()
                try:
                    _interrupt_services(clients, proxy, endpoint)
                    for thread in threads:
                        thread.join(90)
                finally:
                    for client in clients:
                        client.stop.set()
            acknowledged = {key: ids for client in clients for key, ids in client.acknowledged.items()}
            assert len(acknowledged) == CLIENTS * KEYS
            assert {status for client in clients for status in client.refusals} <= {503}
            assert any(client.refusals for client in clients), "no outage was felt"
            _check(world, acknowledged)
        finally:
            world.close()
            broker.stop()
            endpoint.stop()


def _interrupt_services(clients: list[Client], proxy: Any, endpoint: EndpointProcess) -> None:
    def count_acknowledged() -> int:
        return sum(len(client.acknowledged) for client in clients)

    def wait_for_more(count: int) -> None:
        before = count_acknowledged()
        wait_until(lambda: count_acknowledged() >= min(before + count, CLIENTS * KEYS), "some get through", seconds=60)

    wait_for_more(100)
    proxy.cut()
    wait_until(lambda: any(client.refusals for client in clients), "Kafka is missed", seconds=30)
    proxy.mend()
    wait_for_more(150)
    endpoint.kill()
    wait_for_more(20)  # Kafka is enough to take a response
    endpoint.start()
    wait_for_more(100)
    proxy.cut()
    endpoint.kill()
    proxy.mend()
    endpoint.start()


def _check(world: World, acknowledged: dict[str, set[str]]) -> None:
    def rows() -> list[tuple[str, str]]:
        return list(world.store.client.query("SELECT idempotency_key, id FROM interactions").result_rows)

    wait_until(lambda: len(rows()) >= len(acknowledged), "all is applied", seconds=90)
    found = rows()
    assert len(found) == len(acknowledged)
    assert {key for key, _ in found} == set(acknowledged)
    result = reconcile(world.store)
    assert result.is_clean
    (alltime,) = (row for row in result.totals.iter_rows(named=True) if row["period_type"] == "alltime")
    assert (alltime["contacts"], alltime["total_value"]) == (len(acknowledged), len(acknowledged))
