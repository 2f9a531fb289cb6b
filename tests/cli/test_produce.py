"""``rapport produce`` sends valid lines, reports the others, and fails by its exit code if there are any."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import environment, run
from tests.fixtures.messages import consume

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.fixtures.kafka import BrokerServer

pytestmark = pytest.mark.broker

CSV = """cust_id,when,amount
7,2024-01-02T03:04:05Z,12.50
,2024-01-02,1
8,2024-01-02,1
"""
MAPPING = ["--set", "tenantId=t", "--set", "outcome=convert", "--map", "customerId=cust_id", "--map", "timestamp=when"]


class ProduceCommand:
    """The command, pointed at a topic of its own with one partition."""

    def __init__(self, broker: BrokerServer, cwd: Path) -> None:
        self._broker = broker
        self._cwd = cwd
        self._topic = f"cli-{uuid.uuid4().hex[:8]}"

    def __call__(self, *arguments: str, **variables: str) -> CompletedProcess[str]:
        env = environment(
            KAFKA_BOOTSTRAP=self._broker.bootstrap,
            KAFKA_IDEMPOTENT_PRODUCER=str(self._broker.kind == "kafka").lower(),
            KAFKA_TOPIC=self._topic,
            KAFKA_DEAD_LETTER_TOPIC=f"{self._topic}.dead",
            KAFKA_PARTITIONS="1",
            XDG_CACHE_HOME=str(self._cwd / "cache"),
            **variables,
        )
        return run("produce", *arguments, env=env, cwd=self._cwd)

    def read(self, count: int) -> list[bytes]:
        """Read the first messages of the topic."""
        return asyncio.run(consume(self._broker.bootstrap, self._topic, count))


@pytest.fixture
def produce(broker: BrokerServer, tmp_path: Path) -> ProduceCommand:
    (tmp_path / "p.csv").write_text(CSV)
    return ProduceCommand(broker, tmp_path)


def test_bad_lines_are_reported_and_the_rest_is_sent(produce: ProduceCommand):
    done = produce("p.csv", *MAPPING, "--map", "conversionValue=amount")
    assert done.returncode == 1
    assert done.stderr.startswith("p.csv:3: missing_field: ")
    assert "2 events sent" in done.stdout
    assert "1 bad line" in done.stdout
    first, second = [json.loads(value) for value in produce.read(2)]
    assert (first["customerId"], first["conversionValue"], first["idempotencyKey"]) == ("7", 12.5, "p.csv:2")
    assert second["customerId"] == "8"


def test_strict_stops_at_the_first_bad_line(produce: ProduceCommand):
    done = produce("p.csv", *MAPPING, "--strict")
    assert done.returncode == 1
    assert "1 events sent" in done.stdout
    assert "stopped at the first" in done.stdout


def test_events_are_sent_in_arrays(produce: ProduceCommand):
    done = produce("--dataset", "synthetic", "--events", "250", "--batch", "100", "--seed", "5", "--tenant", "x")
    assert (done.returncode, done.stderr) == (0, "")
    arrays = [json.loads(value) for value in produce.read(3)]
    assert [len(array) for array in arrays] == [100, 100, 50]
    assert {event["tenantId"] for array in arrays for event in array} == {"x"}


def test_a_data_set_without_a_registry_names_the_generator(produce: ProduceCommand, tmp_path: Path):
    done = produce("--dataset", "open-bandit", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1
    assert "obp==0.4.1" in done.stderr
    assert "--dataset synthetic" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "either a FILE or a --dataset"),
        (("p.csv", "--dataset", "cdnow"), 2, "either a FILE or a --dataset"),
        (("--dataset", "synthetic", "--map", "a=b"), 2, "are for a FILE"),
        (("p.csv", "--map", "cust=cust_id"), 2, "no field of an event"),
        (("p.csv", "--map", "customerId=nobody"), 1, "no column nobody; it has cust_id, when, amount"),
        (("p.csv", "--delimiter", ";;"), 2, "one character"),
        (("missing.csv",), 2, "does not exist"),
    ],
)
def test_impossible_commands_are_explained(produce: ProduceCommand, arguments: tuple[str, ...], code: int, says: str):
    done = produce(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_broker_is_named(tmp_path: Path):
    done = run("produce", "--dataset", "synthetic", env=environment(KAFKA_BOOTSTRAP="127.0.0.1:1"), cwd=tmp_path)
    assert done.returncode == 1
    assert "rapport: Kafka at 127.0.0.1:1 cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
