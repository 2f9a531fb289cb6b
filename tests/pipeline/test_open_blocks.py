"""Blocks through the worker: deaths at any step, workers that overtake each other and compactions change no count."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.faults import Step
from pipeline.fold import DAY_SCHEMA
from pipeline.open_blocks import OpenBlocks, OpenDays
from rapport.domain.blocks import BlockPlace, LogPosition
from rapport.domain.periods import DAY_MS
from rapport.domain.retention import DataClass
from rapport.storage.compaction import compact_crowded, delete_emptied
from rapport.storage.reconcile import reconcile
from rapport.storage.retention import RetentionConfig, apply_retention, save_config
from rapport.storage.tenants import create_tenant
from tests.pipeline.applied_stream import NOW_MS, Stream, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rapport.storage.client import Store

STEPS = [Step.DECODED, Step.FOLDED, Step.INTERACTIONS, Step.SUMMARIES, Step.PROGRESS]
CUSTOMERS = ("ann", "bob", "cleo")


def die_at(wanted: Step, nth: int) -> Callable[[Step], None]:
    remaining = itertools.count(nth, -1)

    def die(reached: Step) -> None:
        if reached is wanted and next(remaining) == 1:
            raise KeyboardInterrupt

    return die


@settings(max_examples=10, phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # shrinking takes minutes
@given(st.data())
def test_whoever_applies_a_log_and_however_often_it_counts_once(store: Store, data: st.DataObject):
    if not store.client.query("SELECT 1 FROM tenants WHERE tenant_id = 'acme'").result_rows:
        create_tenant(store, "acme")
    number, block_events = next(numbers), data.draw(st.integers(1, 5), "events of a block")
    customers = data.draw(st.lists(st.sampled_from(CUSTOMERS), min_size=8, max_size=24), "customers")
    late = Stream(store, number=number, block_events=block_events)
    late_runner = asyncio.Runner()
    for customer in customers:
        late.click(customer)
    for _ in range(data.draw(st.integers(0, 4), "deaths")):
        step, nth = data.draw(st.sampled_from(STEPS), "dies at"), data.draw(st.integers(1, 3), "of batch")
        worker = Stream(store, die_at(step, nth), number, block_events)
        worker.log = late.log
        worker.take_over()
        with contextlib.suppress(KeyboardInterrupt):
            worker.apply_all(data.draw(st.integers(1, 9), "messages of a batch"))
        if data.draw(st.booleans(), "is compacted"):
            assert compact_crowded(store, crowded_rows=1) >= 0
        if data.draw(st.booleans(), "is a late worker's turn"):  # it knows of nobody else's progress
            start = late.positions.next_offset[late.partition]
            late_runner.run(late.apply(data.draw(st.integers(1, 5)), min(start + 3, len(late.log))))
    late_runner.close()
    last = Stream(store, number=number, block_events=block_events)
    last.log = late.log
    last.take_over()
    last.apply_all(data.draw(st.integers(1, 9), "messages of the last batches"))
    assert last.clicks() == Counter(customers)
    assert reconcile(store, sleep=lambda _s: None).is_clean
    compact_crowded(store, crowded_rows=1)
    assert last.clicks() == Counter(customers)
    delete_emptied(store, empty_s=-1)
    assert last.clicks() == Counter(customers)
    assert reconcile(store, sleep=lambda _s: None).is_clean


def test_a_worker_that_goes_on_reads_no_summary_row_and_no_history(store: Store):
    create_tenant(store, "acme")
    names: list[str] = []

    @contextlib.contextmanager
    def note(name: str) -> Iterator[None]:
        names.append(name)
        yield

    stream = Stream(replace(store, timer=note), block_events=3)
    for customer in ("ann", "bob", "ann", "ann", "bob", "cleo", "ann"):
        stream.click(customer)
    stream.apply_all(batch_size=1)
    assert stream.clicks() == {"ann": 4, "bob": 2, "cleo": 1}
    assert not {name for name in names if name != "insert/interaction_summary_state" and "summar" in name}
    assert "stream/block_contacts" not in names
    assert "stream/recent_claims" in names


def test_what_was_forgotten_while_a_batch_was_written_is_not_kept(store: Store):
    blocks = OpenBlocks(store)
    position = LogPosition(3, BlockPlace(1, 0, 3, 1_773_585_000_000))
    before = blocks.find({}, 0)
    blocks.forget()
    row = {"source": "s", "block": 1, "customer_id": "ann", "positive": 3}
    days = pl.DataFrame([row], schema=DAY_SCHEMA)
    blocks.keep({"s": position}, OpenDays(days, before.revision))
    assert blocks.find({"s": position}, 0).days.is_empty()  # from the history, which is empty
    current = blocks.find({}, 0)
    blocks.keep({"s": position}, OpenDays(days, current.revision))
    assert blocks.find({"s": position}, 0).days["positive"].to_list() == [3]
    assert blocks.find({"s": position._replace(next_offset=4)}, 0).days.is_empty()
    assert blocks.find({"s": position}, privacy_revision=1).days.is_empty()


def test_retention_takes_nothing_from_the_counts_of_a_worker_that_starts_again(store: Store):
    """An open block is counted in the history, so it must not stay open until retention deletes its events."""
    create_tenant(store, "acme")
    stream = Stream(store)
    for days in (40, 40, 1, 0):
        stream.received_ms[len(stream.log)] = NOW_MS - days * DAY_MS
        stream.click("ann", timestamp=NOW_MS - days * DAY_MS)
    stream.apply_all(until=2)
    save_config(store, "acme", RetentionConfig(data_class=DataClass.INTERACTIONS, retention_days=30))
    assert sum(apply_retention(store, "acme", NOW_MS).values()) > 0
    for until in (3, 4):
        worker = Stream(store, number=stream.number)
        worker.log, worker.received_ms = stream.log, stream.received_ms
        worker.take_over()
        worker.apply_all(until=until)
    assert stream.clicks() == {"ann": 4}
    assert reconcile(store, sleep=lambda _s: None).is_clean
