"""Compression of bodies by Content-Encoding, piece by piece in both directions.

Several frames or members may follow each other in one body: clickhouse-connect sends one per block.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Protocol

import lz4.frame
from backports import zstd

from rapport.embedded.clickhouse.engine_errors import refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE_BYTES: Final = 1 << 20
"""Upper bound of one decompressed piece, so a small body cannot grow without bound at once."""


class _Frame(Protocol):
    """The decompressor of one frame, as ``bz2.BZ2Decompressor`` defines it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _ZlibFrame:
    """zlib's decompressor behind the interface the others share."""

    def __init__(self, wbits: int) -> None:
        self._inflate = zlib.decompressobj(wbits)
        self._is_drained = True

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return self._is_drained

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)
        self._is_drained = len(piece) < max_length and not self._inflate.unconsumed_tail
        return piece


class Decoder:
    """Decompressor of a body that arrives in pieces."""

    def __init__(self, encoding: str, open_frame: Callable[[], _Frame]) -> None:
        self._encoding = encoding
        self._open_frame = open_frame
        self._frame: _Frame | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed contents of the next piece of the body, at most ``PIECE_BYTES`` at a time.

        Raises:
            EngineError: 271 when the data is damaged.
        """
        while data or (self._frame is not None and not self._frame.needs_input):
            frame = self._frame = self._frame or self._open_frame()
            try:
                piece = frame.decompress(data, PIECE_BYTES)
            except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as error:
                raise refuse(271, f"Cannot decompress the {self._encoding} body: {error}") from error
            data = b""
            if frame.eof:
                data = frame.unused_data or b""
                self._frame = None
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that the body ended where a frame ends.

        Raises:
            EngineError: 271 when it is cut off.
        """
        if self._frame is not None:
            raise refuse(271, f"Cannot decompress the {self._encoding} body: it is cut off")


class Encoder(Protocol):
    """Compressor of a response that is produced in pieces."""

    def compress(self, data: bytes, /) -> bytes:
        """Take a piece and return the bytes that are ready to send."""

    def flush(self) -> bytes:
        """Return the rest."""


class _PlainEncoder:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _Lz4Encoder:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._begin: bytes = self._frame.begin()

    def compress(self, data: bytes, /) -> bytes:
        begin, self._begin = self._begin, b""
        return begin + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        begin, self._begin = self._begin, b""
        return begin + bytes(self._frame.flush())


_FRAMES: Final[dict[str, Callable[[], _Frame]]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "gzip": lambda: _ZlibFrame(31),
    "deflate": lambda: _ZlibFrame(15),
}
_ENCODERS: Final[dict[str, Callable[[], Encoder]]] = {  # in the order ClickHouse prefers them
    "lz4": _Lz4Encoder,
    "zstd": lambda: zstd.ZstdCompressor(level=1),
    "gzip": lambda: zlib.compressobj(level=3, wbits=31),
    "deflate": lambda: zlib.compressobj(level=3, wbits=15),
}


def open_decoder(encoding: str) -> Decoder | None:
    """Return the decoder for a Content-Encoding, None for a plain body.

    Raises:
        EngineError: 48 for an encoding the endpoint does not know.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name not in _FRAMES:
        raise refuse(48, f"Unknown compression method {name}. Only {', '.join(_FRAMES)} are supported")
    return Decoder(name, _FRAMES[name])


def choose_encoding(accepted: str) -> str | None:
    """Pick the Content-Encoding of a response from an Accept-Encoding header, None for a plain one."""
    names = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    return next((name for name in _ENCODERS if name in names), None)


def open_encoder(encoding: str | None) -> Encoder:
    """Return the encoder for an encoding from ``choose_encoding``."""
    return _PlainEncoder() if encoding is None else _ENCODERS[encoding]()
