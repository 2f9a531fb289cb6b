"""Decompression of batches, on bounded memory: a batch is unchanged, or one message replaces it."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from rapport.domain.rejections import RejectionCode
from rapport.kafka.decompression import (
    MAX_UNPACKED_BYTES,
    BoundedRecords,
    UnreadableBatch,
    find_rejection,
    limit_decompression,
)

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
PACKED = [name for name in CODECS if name != "none"]
BATCH_HEADER_BYTES = 61
MIB = 1024 * 1024


def make_batch(codec: str, values: list[bytes]) -> bytes:
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, -1, 1 << 30)
    for offset, value in enumerate(values):
        assert builder.append(offset, 1_000 + offset, b"k", value, [])
    return bytes(builder.build())


def with_payload(batch: bytes, payload: bytes) -> bytes:
    """The batch with another compressed content; its checksum is checked elsewhere."""
    whole = batch[:BATCH_HEADER_BYTES] + payload
    return whole[:8] + (len(whole) - 12).to_bytes(4, "big") + whole[12:]


def read(fetched: bytes) -> list[Any]:
    limit_decompression()
    records, found = BoundedRecords(fetched), []
    while records.has_next():
        found += list(records.next_batch())
    return found


@pytest.mark.parametrize("codec", CODECS)
def test_batches_within_the_bound_are_unchanged(codec: str):
    batches = [make_batch(codec, [b"one", b"", bytes(range(256)) * n]) for n in (1, 5_000)]
    fetched = b"".join(batches)
    plain, records = [], MemoryRecords(fetched)
    while records.has_next():
        plain += list(records.next_batch())
    assert [(r.offset, r.timestamp, r.key, r.value) for r in read(fetched + batches[0][:40])] == [
        (r.offset, r.timestamp, r.key, r.value) for r in plain
    ]


@pytest.mark.parametrize("codec", PACKED)
def test_one_message_replaces_a_batch_that_decompresses_to_too_much(codec: str):
    bomb = make_batch(codec, [b"first", b"x" * MAX_UNPACKED_BYTES])
    after = make_batch(codec, [b"after"])
    tracemalloc.start()
    try:
        stand_in, next_one = read(bomb + after)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_UNPACKED_BYTES
    finally:
        tracemalloc.stop()
    assert (stand_in.offset, stand_in.timestamp, stand_in.value, next_one.value) == (1, 1_001, bomb, b"after")
    assert isinstance(stand_in.value, UnreadableBatch)
    rejection = find_rejection(stand_in.value)
    assert rejection is not None
    assert rejection.code is RejectionCode.UNREADABLE_BATCH
    assert "from offset 0 to 1" in rejection.detail
    assert "more than 33,554,432 bytes" in rejection.detail


@pytest.mark.parametrize("codec", PACKED)
@pytest.mark.parametrize("damage", [b"", b"\x00" * 50, b"garbage" * 100], ids=["empty", "zeros", "garbage"])
def test_one_message_replaces_a_batch_that_cannot_be_decompressed(codec: str, damage: bytes):
    whole = make_batch(codec, [b"x" * 1_000])
    for payload in (damage, whole[BATCH_HEADER_BYTES:-5] + damage):
        (found,) = read(with_payload(whole, payload))
        assert isinstance(found.value, UnreadableBatch) or found.value == b"x" * 1_000


def test_every_codec_is_bounded_at_any_ratio():
    whole = make_batch("gzip", [b"x"])
    members = zlib.compress(b"x" * (20 * MIB), wbits=31) * 2
    (found,) = read(with_payload(whole, members))
    assert isinstance(found.value, UnreadableBatch)
    frames = bytes(cramjam.zstd.compress(b"x" * (20 * MIB))) * 2
    (found,) = read(with_payload(make_batch("zstd", [b"x"]), frames))
    assert isinstance(found.value, UnreadableBatch)
