"""Privacy in the worker: erased customers leave no rows, and uncollected ones leave counts only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.applier import Applier
from pipeline.batch import Batch, FetchedRecord, Partition
from pipeline.commit import Committer
from pipeline.faults import Step
from pipeline.positions import Positions
from pipeline.prepare import Preparer
from pipeline.privacy import PrivacyFilter
from pipeline.tenant_cache import TenantCache
from rapport.domain.blocks import begin_blocks
from rapport.domain.privacy import hash_customer
from rapport.kafka.sources import name_source
from rapport.metrics import StreamMetrics
from rapport.settings import Settings
from rapport.storage.reconcile import reconcile
from rapport.storage.tenants import create_tenant, load_tenants
from rapport.storage.tombstones import read_tombstones, write_tombstones
from tests.fixtures.events import CLICK, DECISION, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rapport.storage.client import Store
    from rapport.storage.stream import DeadLetter

PARTITION = Partition("interactions", 0)
NOW = 1_773_585_000_000
ERASED_AT = NOW + 10_000
FREE_FORM = {"context": {"ip": "10.0.0.1"}, "outcomeDetails": {"text": "hello"}, "metadata": {"age": 41}}


@dataclass
class Worker:
    """A worker's batches on a real database, one message at a time; `at_step` runs when a batch gets there."""

    store: Store
    uncollected: dict[tuple[str, str], int] = field(default_factory=dict)
    at_step: Callable[[Step], None] = lambda _step: None
    offset: int = 0
    key: bytes = b"acme:ann"
    rewound: list[Mapping[Partition, int]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = asyncio.Runner()
        self.settings, self.metrics = Settings(), StreamMetrics()
        self.positions = Positions(self.store, self.settings.kafka, "cluster", self.metrics)
        self.positions.sources[PARTITION] = name_source("cluster", *PARTITION, 0)
        self.positions.owned[PARTITION] = begin_blocks(0)
        tenant_cache = TenantCache(lambda: load_tenants(self.store), refresh_s=3_600)
        privacy = PrivacyFilter(
            lambda since_ms: read_tombstones(self.store, since_ms),
            lambda: dict(self.uncollected),
            self.metrics,
            refresh_s=0,
        )
        shared = (self.settings, self.store, self.positions)
        self.applier = Applier(
            self.store,
            self.positions,
            self.metrics,
            Preparer(*shared, tenant_cache, privacy, self.metrics, self.on_step),
            Committer(*shared, privacy, self.metrics, self.on_step, self._send),
            is_stale=lambda _batch: False,
            rewind=self._rewind,
        )

    def close(self) -> None:
        """Close its event loop."""
        self.runner.close()

    def on_step(self, step: Step) -> None:
        """Run `at_step` after its step."""
        self.at_step(step)

    def apply(self, *messages: tuple[int, object]) -> None:
        """Apply a batch of messages, each a receipt time and a value."""
        self.runner.run(self._apply(messages))

    async def _apply(self, messages: Sequence[tuple[int, object]]) -> None:
        errors: list[BaseException] = []
        batch = Batch(generation=1)
        records = [
            FetchedRecord(self.offset + n, at, self.key, value if isinstance(value, bytes) else to_json(value))
            for n, (at, value) in enumerate(messages)
        ]
        batch.take({PARTITION: records})
        await self.applier.apply(batch, errors.append)
        await self.applier.settle()
        await asyncio.sleep(0)
        if errors:
            raise errors[0]
        self.offset = self.positions.next_offset[PARTITION]

    async def _rewind(self, starts: Mapping[Partition, int]) -> None:
        self.rewound.append(starts)

    async def _send(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += letters

    def customers(self) -> dict[str, list[str]]:
        """List the customers in each table that the stream writes."""
        tables = ("interaction_log", "interaction_summary_state", "event_claims", "decisions", "decision_places")
        sql = "SELECT DISTINCT customer_id FROM {t:Identifier} ORDER BY 1"
        found = {t: self.store.client.query(sql, parameters={"t": t}).result_rows for t in tables}
        return {table: [row[0] for row in rows] for table, rows in found.items()}

    def clicks(self, customer: str = "ann") -> list[int]:
        """Read the positive responses of a customer, by period type."""
        sql = """
            SELECT sum(positive) FROM interaction_summaries WHERE scope = 'offer' AND customer_id = {c:String}
            GROUP BY period_type ORDER BY period_type
        """
        return [row[0] for row in self.store.client.query(sql, parameters={"c": customer}).result_rows]


@pytest.fixture
def worker(store: Store) -> Iterator[Worker]:
    create_tenant(store, "acme")
    with contextlib.closing(Worker(store)) as made:
        yield made


def click(key: str, **fields: Any) -> dict[str, Any]:
    return {**CLICK, "idempotencyKey": key, "timestamp": NOW, **fields}


def erase(store: Store, customer: str = "ann", **more: int) -> None:
    write_tombstones(store, "acme", [hash_customer("acme", customer)], erased_at_ms=ERASED_AT, receipt_id="r", **more)


def test_events_received_before_the_erasure_are_dropped_and_later_ones_count(worker: Worker):
    erase(worker.store)
    worker.apply(
        (ERASED_AT, click("k1")),
        (ERASED_AT, click("k2", customerId="bob")),
        (ERASED_AT, {**DECISION, "timestamp": NOW}),
        (ERASED_AT, click("k3", outcome="no such outcome")),
        (ERASED_AT, b'{"tenantId": "acme", "customerId": "ann", broken'),
    )
    assert {name for names in worker.customers().values() for name in names} == {"bob"}
    assert worker.letters == []
    assert worker.store.client.query("SELECT count() FROM dead_letters").result_rows == [(0,)]
    worker.apply((ERASED_AT + 1, click("k1")), (ERASED_AT + 2, {**DECISION, "timestamp": NOW}))
    assert worker.clicks() == [1] * 4
    assert worker.customers()["decisions"] == ["ann"]


def test_a_dead_letter_that_names_no_erased_customer_is_kept(worker: Worker):
    erase(worker.store)
    worker.key = b"acme:anna"
    worker.apply((NOW, click("k1", customerId="anna", outcome="nonsense")))
    assert [letter.code for letter in worker.letters] == ["unknown_outcome"]


@pytest.mark.parametrize("completed", [False, True], ids=["before the deletion", "after a deletion it has not seen"])
def test_a_summary_row_read_before_the_deletion_brings_no_erased_event_back(worker: Worker, *, completed: bool):
    worker.apply((NOW, click("k1")), (NOW, click("k2")))
    assert worker.clicks() == [2] * 4
    erase(worker.store, **({"completed_at_ms": time.time_ns() // 1_000_000} if completed else {}))
    worker.apply((ERASED_AT + 1, click("k3")))
    assert worker.clicks() == [1] * 4
    worker.apply((ERASED_AT + 2, click("k4")))
    assert worker.clicks() == [2] * 4


@pytest.mark.parametrize("step", [Step.READ, Step.FOLDED, Step.DEAD_LETTERS, Step.INTERACTIONS])
def test_an_erasure_during_a_batch_has_it_read_again(worker: Worker, step: Step):
    def erase_once(reached: Step) -> None:
        if reached is step and not read_tombstones(worker.store):
            erase(worker.store)

    worker.at_step = erase_once
    messages = ((NOW, click("k1")), (NOW, click("k2", customerId="bob")), (ERASED_AT + 1, click("k3")))
    worker.apply(*messages)
    assert worker.rewound == [{PARTITION: 0}]
    assert worker.clicks() == []
    worker.apply(*messages)
    assert worker.clicks() == [1] * 4
    assert worker.clicks("bob") == [1] * 4


def test_the_erasure_of_another_customer_does_not_affect_a_batch(worker: Worker):
    worker.at_step = lambda step: erase(worker.store, "bob") if step is Step.READ else None
    worker.apply((NOW, click("k1")))
    assert worker.rewound == []
    assert worker.clicks() == [1] * 4


def test_a_replay_gives_the_same_totals_for_a_customer_who_came_back(worker: Worker):
    erase(worker.store, completed_at_ms=ERASED_AT + 1)
    log = [(ERASED_AT + n - 5, click(f"k{n}", outcome="convert", conversionValue=n)) for n in range(10)]
    worker.apply(*log[:4])
    worker.apply(*log[4:8])
    worker.apply(*log[8:])
    assert worker.clicks() == [4] * 4
    assert reconcile(worker.store, sleep=lambda _s: None).is_clean


def test_events_of_an_uncollected_customer_count_without_free_form_data(worker: Worker):
    worker.uncollected["acme", "ann"] = NOW + 5
    worker.apply(
        (NOW + 4, click("before", **FREE_FORM)),
        (NOW + 5, click("after", **FREE_FORM, unknownField="x")),
        (NOW + 6, click("other", customerId="bob", **FREE_FORM)),
        (NOW + 6, click("bad", outcome="nonsense", **FREE_FORM)),
        (NOW + 6, {**DECISION, "decision": {"customer": {"attributes": {"age": 41}, "segments": ["s"]}, "seed": 1}}),
    )
    rows = worker.store.client.query(
        "SELECT idempotency_key, context, outcome_details, metadata FROM interaction_log ORDER BY 1"
    ).result_rows
    full = tuple(json.dumps(FREE_FORM[name]) for name in ("context", "outcomeDetails", "metadata"))
    assert rows == [("after", "", "", ""), ("before", *full), ("other", *full)]
    assert worker.clicks() == [2] * 4
    decision = worker.store.client.query("SELECT decision FROM decisions").result_rows[0][0]
    assert json.loads(decision) == {"customer": {"segments": ["s"]}, "seed": 1}
    (letter,) = worker.letters
    assert json.loads(letter.value) == click("bad", outcome="nonsense")
    assert worker.store.client.query("SELECT value FROM dead_letters").result_rows == [(letter.value.decode(),)]
