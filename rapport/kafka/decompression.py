"""Limit the decompressed size of a log's batches: a few kilobytes can stand for gigabytes.

aiokafka decompresses a batch whole, with no setting for a limit, and an error there would come back with every
fetch. So a batch that decompresses to more than :data:`MAX_UNPACKED_BYTES`, or that cannot be decompressed, is
delivered as one message in its place: at its last offset, with the raw batch as its value. The offsets before it are
then missing from the log, for every reader and in every replay, as they are after compaction.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final, TypeAlias

import aiokafka.consumer.fetcher
import cramjam
from aiokafka import codec
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordPy
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from rapport.domain.rejections import Rejection, RejectionCode

Packed: TypeAlias = bytes | bytearray | memoryview

MAX_UNPACKED_BYTES: Final = 32 * 1024 * 1024
"""Limit of one batch. By default producers make batches of a megabyte at most, and brokers take no larger ones."""
_FIRST_GUESS: Final = 20
"""Decompressed size of most batches, as a multiple of their size; the buffer grows from there to the limit."""
_HEADER: Final = struct.Struct(">qiib")
"""Base offset, length of what follows, leader epoch, and the version of the format."""
_LOG_OVERHEAD: Final = struct.calcsize(">qi")
_VERSION_WITH_OFFSETS: Final = 2
_XERIAL_HEADER_BYTES: Final = 16


class BatchTooLargeError(ValueError):
    """A batch decompresses to more than the limit."""

    def __init__(self) -> None:
        super().__init__(f"it unpacks to more than {MAX_UNPACKED_BYTES:,} bytes")


class UnreadableBatch(bytes):
    """Value of a message that stands for a whole batch: the raw batch.

    Attributes:
        detail: The reason, as a sentence.
    """

    detail: str


def find_rejection(value: bytes | None) -> Rejection | None:
    """Return the rejection of a message that stands for an unreadable batch; None for any other message."""
    return Rejection(RejectionCode.UNREADABLE_BATCH, value.detail) if isinstance(value, UnreadableBatch) else None


def limit_decompression() -> None:
    """Apply the limit to every consumer of this process. Called before one is made; may be repeated."""
    for module in _MODULES:
        for name, decode in _DECODERS.items():
            if hasattr(module, name):
                setattr(module, name, decode)
    aiokafka.consumer.fetcher.MemoryRecords = BoundedRecords


class BoundedRecords:
    """The batches of a fetch, as aiokafka's fetcher reads them."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = fetched
        self._records = MemoryRecords(fetched)
        self._position = 0

    def size_in_bytes(self) -> int:
        """Return the size of the fetch."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Say whether another whole batch was fetched."""
        return bool(self._records.has_next())

    def next_batch(self) -> Any:  # noqa: ANN401 - one of aiokafka's classes, or what stands for it
        """Return the next batch."""
        start = self._position
        _, length, _, version = _HEADER.unpack_from(self._fetched, start)
        self._position = start + _LOG_OVERHEAD + length
        batch = self._records.next_batch()
        holds_messages = version >= _VERSION_WITH_OFFSETS and not batch.is_control_batch
        return _Messages(batch, self._fetched[start : self._position]) if holds_messages else batch


class _Messages:
    """A batch of messages; unreadable ones are replaced on iteration."""

    def __init__(self, batch: DefaultRecordBatch, raw: bytes) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what its header says
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._batch
        except Exception as error:  # noqa: BLE001 - the codecs raise what they like
            yield self._make_stand_in(error)

    def _make_stand_in(self, error: Exception) -> _DefaultRecordPy:
        batch, value = self._batch, UnreadableBatch(self._raw)
        value.detail = (
            f"The messages from offset {batch.base_offset} to {batch.next_offset - 1} came in one batch, "
            f"which cannot be read: {error}. The value is the batch as it came."
        )
        return _DefaultRecordPy(batch.next_offset - 1, batch.max_timestamp, batch.timestamp_type, None, value, [])


def _unpack_gzip(payload: Packed) -> bytes:
    packed, parts, room = bytes(payload), [], MAX_UNPACKED_BYTES
    while packed:
        member = zlib.decompressobj(wbits=31)
        part = member.decompress(packed, room + 1)
        room -= len(part)
        if room < 0:
            raise BatchTooLargeError
        if not member.eof:
            raise EOFError("it ends in the middle")
        parts.append(part)
        packed = member.unused_data
    return b"".join(parts)


def _unpack_with(codec_module: Any) -> Callable[[Packed], bytes]:  # noqa: ANN401 - cramjam's modules
    def unpack(payload: Packed) -> bytes:
        packed = bytes(payload)
        size = min(max(len(packed) * _FIRST_GUESS, 1 << 16), MAX_UNPACKED_BYTES)
        while True:
            room = bytearray(size)
            try:
                return bytes(memoryview(room)[: codec_module.decompress_into(packed, room)])
            except cramjam.DecompressionError as error:
                if "write whole buffer" not in str(error):
                    raise
            if size == MAX_UNPACKED_BYTES:
                raise BatchTooLargeError
            size = min(size * 8, MAX_UNPACKED_BYTES)

    return unpack


def _unpack_snappy(payload: Packed) -> bytes:
    packed = bytes(payload)
    blocks = list(_split_xerial_blocks(packed)) if codec._detect_xerial_stream(packed) else [packed]  # noqa: SLF001
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > MAX_UNPACKED_BYTES:
        raise BatchTooLargeError
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _split_xerial_blocks(packed: bytes) -> Iterator[bytes]:
    """Split snappy's framing for Java into blocks: each follows its length."""
    position = _XERIAL_HEADER_BYTES
    while position < len(packed):
        (length,) = struct.unpack_from(">i", packed, position)
        position += 4
        if not 0 < length <= len(packed) - position:
            raise ValueError(f"a block of {length} bytes does not fit in")
        yield packed[position : position + length]
        position += length


_MODULES: Final[tuple[ModuleType, ...]] = tuple(
    sys.modules[found.__module__] for found in (DefaultRecordBatch, LegacyRecordBatch)
)
"""Modules in which aiokafka's readers, compiled or not, look up their decoders."""
_DECODERS: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "gzip_decode": _unpack_gzip,
    "snappy_decode": _unpack_snappy,
    "lz4_decode": _unpack_with(cramjam.lz4),
    "zstd_decode": _unpack_with(cramjam.zstd),
}
