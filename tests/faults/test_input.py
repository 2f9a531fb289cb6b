"""Arbitrary input from producers: good events count once and bad ones are found in the dead letters."""

from __future__ import annotations

import hashlib
import json
import random

import pytest

from pipeline.dead_letter_topic import MAX_VALUE_BYTES
from rapport.kafka.decompression import MAX_UNPACKED_BYTES
from tests.faults.events import START_MS, encode, make_events
from tests.faults.world import PARTITIONS, World


def test_every_event_sent_twice_counts_once(world: World, rng: random.Random) -> None:
    events = make_events(rng, 500)
    world.start_worker()
    world.produce(events)
    world.produce(events)
    world.produce(make_events(rng, 200), copies=2)
    world.wait_applied()
    world.verify()


@pytest.mark.slow
def test_shuffled_and_late_events_land_in_their_own_periods(world: World, rng: random.Random) -> None:
    events = make_events(rng, 900)
    world.produce([{**event, "timestamp": event["timestamp"] - 20 * 365 * 86_400_000} for event in events[:300]])
    world.start_worker()
    world.produce(events[300:])
    world.produce_arrays(make_events(rng, 600), 37)
    world.wait_applied()
    world.verify()


def test_every_compression_of_a_producer_is_read(world: World, rng: random.Random) -> None:
    world.start_worker()
    for compression in ("gzip", "snappy", "lz4", "zstd"):
        world.produce(make_events(rng, 150), compression=compression)
    world.wait_applied()
    world.verify()


def test_one_customers_events_on_two_partitions_are_added_up(world: World, rng: random.Random) -> None:
    world.start_worker()
    for partition in (0, 1, 0, 2):
        world.produce(make_events(rng, 150, customers=3), partition=partition)
    world.wait_applied()
    world.verify()


@pytest.mark.slow
def test_the_same_events_on_two_partitions_at_once_count_once(world: World, rng: random.Random) -> None:
    world.start_worker()
    world.start_worker()
    for _ in range(4):
        events = make_events(rng, 300, customers=5)
        messages = [(b"k", encode(event), partition) for event in events for partition in range(PARTITIONS)]
        rng.shuffle(messages)
        for event in events:
            world.oracle.add(event)
        world.produce_raw(messages)
    world.wait_applied()
    history = world.store.client.query("SELECT count(), uniqExact(idempotency_key) FROM interactions").result_rows
    assert history == [(1_200, 1_200)]
    world.verify()


def test_poison_between_good_events_is_found_in_the_dead_letters(world: World, rng: random.Random) -> None:
    good = make_events(rng, 120)
    spoilt = {**good[0], "idempotencyKey": "spoilt"}
    without_customer = {name: value for name, value in spoilt.items() if name != "customerId"}
    poison: list[tuple[bytes | None, str]] = [
        (b'{"tenantId": "acme\xff"}', "bad_utf8"),
        (b"{not json", "bad_json"),
        (b'"a string"', "not_an_object"),
        (b"", "empty_value"),
        (encode({**spoilt, "customerId": 7}), "invalid_field"),
        (encode(without_customer), "missing_field"),
        (encode({**spoilt, "type": "interaction.recorded.v9"}), "unknown_type"),
        (encode({**spoilt, "context": {"blob": "x" * 1_000_000}})[:1_000_000], "bad_json"),
        (encode({**spoilt, "context": {"blob": "x" * 900_000}}), "too_large"),
        (json.dumps({**spoilt, "conversionValue": float("nan")}).encode(), "bad_json"),
        (encode({**spoilt, "conversionValue": -1}), "invalid_value"),
        (encode({**spoilt, "timestamp": "1900-01-01T00:00:00Z"}), "timestamp_out_of_range"),
        (encode({**spoilt, "timestamp": "2200-01-01T00:00:00Z"}), "timestamp_out_of_range"),
        (encode({**spoilt, "timestamp": "yesterday"}), "invalid_timestamp"),
        (encode({**spoilt, "tenantId": "nobody"}), "unknown_tenant"),
        (encode({**spoilt, "outcome": "teleported"}), "unknown_outcome"),
        (encode({**good[0], "outcome": "click", "timestamp": START_MS}), "idempotency_conflict"),
    ]
    expected: dict[tuple[int, int, int], str] = {}
    world.start_worker()
    world.produce(good[:1], partition=0)
    for (value, code), event in zip(poison, good[1:], strict=False):
        partition = 0 if code == "idempotency_conflict" else rng.randrange(PARTITIONS)
        [(at, offset)] = world.produce_raw([(b"acme:poison", value, partition)])
        expected[at, offset, 0] = code
        world.produce([event])
    array = [good[50], {**spoilt, "outcome": "teleported"}, good[51]]
    world.oracle.add(good[50])
    world.oracle.add(good[51])
    [(at, offset)] = world.produce_raw([(b"array", encode(array), None)])
    expected[at, offset, 1] = "unknown_outcome"
    world.wait_applied()
    world.verify()
    assert world.dead_letters() == expected
    raw = world.store.client.query(
        "SELECT partition, offset, item, length(value) FROM dead_letters", column_formats={}
    ).result_rows
    lengths = {row[:3]: row[3] for row in raw}
    assert all(lengths[position] > 0 or code == "empty_value" for position, code in expected.items())


def test_messages_nested_near_the_recursion_limit_become_dead_letters(world: World, rng: random.Random) -> None:
    good = make_events(rng, 60)
    pairs = [  # of every depth about the interpreter's own limit: how much of that is used up differs between places
        b'[%b,"metadata":%b%d%b}]'
        % (encode({**good[0], "idempotencyKey": f"{depth}"})[:-1], b'{"a":' * depth, n, b"}" * depth)
        for depth in range(930, 1_000)
        for n in (1, 2)
    ]
    world.start_worker()
    world.produce(good[:30])
    positions = world.produce_raw([(b"k", value, 0) for value in pairs])
    world.produce(good[30:])
    world.wait_applied()
    world.verify()
    assert world.dead_letters() == {(partition, offset, 0): "too_deep" for partition, offset in positions}


def test_an_oversized_dead_letter_is_whole_in_the_table_and_cut_on_the_topic(world: World, rng: random.Random) -> None:
    good = make_events(rng, 60)
    garbage = b"{" + rng.randbytes(1_000) * 9_000
    world.start_worker()
    world.produce(good[:30])
    [(partition, offset)] = world.produce_raw([(b"k" * 200_000, garbage, 1)], compression="gzip")
    world.produce(good[30:])
    world.wait_applied()
    world.verify()
    assert world.dead_letters() == {(partition, offset, 0): "bad_utf8"}
    sql = "SELECT length(key), length(value), hex(MD5(value)) FROM dead_letters"
    assert world.store.client.query(sql, column_formats={}).result_rows == [
        (200_000, len(garbage), hashlib.md5(garbage).hexdigest().upper())  # noqa: S324 - compares, protects nothing
    ]
    letter = world.read_dead_letter_topic()[-1]
    headers = dict(letter.headers)
    assert garbage.startswith(letter.value)
    assert len(letter.value) == MAX_VALUE_BYTES
    assert (headers["value-bytes"], headers["key-bytes"]) == (str(len(garbage)).encode(), b"200000")


def test_a_decompression_bomb_is_one_dead_letter_and_the_partition_goes_on(world: World, rng: random.Random) -> None:
    good = make_events(rng, 60)
    world.start_worker()
    world.produce(good[:30], partition=0)
    [(partition, offset)] = world.produce_raw([(b"k", b"x" * (MAX_UNPACKED_BYTES + 1), 0)], compression="zstd")
    world.produce(good[30:], partition=0)
    world.wait_applied()
    world.verify()
    assert world.dead_letters() == {(partition, offset, 0): "unreadable_batch"}
