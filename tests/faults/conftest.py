from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.world import World
from tests.fixtures.kafka import BrokerServer


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Provide the randomness of the test; its seed is printed, and set with RAPPORT_FAULT_SEED to repeat a failure."""
    seed = os.environ.get("RAPPORT_FAULT_SEED") or f"{request.node.name}-{uuid.uuid4().hex[:8]}"
    print(f"RAPPORT_FAULT_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def world(broker: BrokerServer, clickhouse_url: str, tmp_path: Path) -> Iterator[World]:
    """Provide a stream on the shared broker and ClickHouse."""
    made = World(broker.bootstrap, clickhouse_url, f"w{uuid.uuid4().hex[:10]}", tmp_path)
    made.open()
    try:
        yield made
    finally:
        made.close()


collect_ignore = [] if os.environ.get("RAPPORT_TEST_BROKER") == "kafka" else ["test_broker_restart.py"]
