"""Bodies as routes read them: unpacked, and UTF-8 without a byte order mark.

Unpacked bytes are the ones that count against the bounds of bodies, so that a small body that unpacks to a large one
gains nothing: it is unpacked piece by piece, and given up where a bound is reached.
"""

from __future__ import annotations

import asyncio
import codecs
import zlib
from typing import TYPE_CHECKING, Any, Final

from litestar.enums import ScopeType

from api.http.errors import ApiError, invalid
from rapport.domain.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import ASGIApp, Receive, ReceiveMessage, Scope, Send

PIECE_BYTES: Final = 64 * 1024
MAX_RATIO: Final = 250
"""A body that unpacks to more than that many times its size, once it is larger than a piece, is no honest one."""
_WINDOW_BITS: Final[Mapping[str, int]] = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_TAKEN: Final = "gzip, deflate"
_MARK: Final = codecs.BOM_UTF8
_LONGEST_MARK: Final = 4


class BodyDecoder:
    """An ASGI application whose requests' bodies come unpacked and as UTF-8."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the server's own events on."""
        if scope["type"] == ScopeType.HTTP and scope.get("method") not in ("GET", "OPTIONS"):
            encodings = [value for name, value in scope["headers"] if name == b"content-encoding"]
            named = b",".join(encodings).decode("latin-1").strip().lower()
            receive = _TextBody(receive if named in ("", "identity") else _UnpackedBody(receive, named).receive).receive
        await self._app(scope, receive, send)


class _UnpackedBody:
    """Body that is unpacked while it is received."""

    def __init__(self, receive: Receive, encoding: str) -> None:
        self._receive = receive
        self._encoding = encoding
        self._decoder: Any = None
        self._packed = b""
        self._packed_size = 0
        self._size = 0
        self._is_complete = False

    async def receive(self) -> ReceiveMessage:
        """Receive the next piece.

        Raises:
            ApiError: 415 for another encoding, 400 for a body that is not packed so, 413 for one that unpacks to too
                much.
        """
        if self._encoding not in _WINDOW_BITS:
            detail = f"Content-Encoding {self._encoding[:64]!r} is not supported; send {_TAKEN}, or the body as it is."
            raise ApiError(415, detail, headers={"Accept-Encoding": _TAKEN})
        while True:
            if piece := self._unpack():
                await asyncio.sleep(0)  # others get their turn between two pieces
                return {"type": "http.request", "body": piece, "more_body": True}
            if self._is_complete:
                if self._decoder is not None and not self._decoder.eof:
                    raise self._broken("it ends too early")
                return {"type": "http.request", "body": b"", "more_body": False}
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._packed += message["body"]
            self._packed_size += len(message["body"])
            self._is_complete = not message["more_body"]

    def _unpack(self) -> bytes:
        """Unpack one piece; empty when there is nothing to unpack before more has come."""
        if self._decoder is None or (self._decoder.eof and self._packed):  # gzip: one member after the other
            if not self._packed:
                return b""
            self._decoder = zlib.decompressobj(_WINDOW_BITS[self._encoding])
        try:
            piece: bytes = self._decoder.decompress(self._packed, PIECE_BYTES)
        except zlib.error as error:
            raise self._broken(str(error)) from error
        self._packed = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
        self._size += len(piece)
        if self._size > PIECE_BYTES and self._size > MAX_RATIO * self._packed_size:
            raise ApiError(413, f"The body unpacks to more than {MAX_RATIO} times its size; send it as it is.")
        return piece

    def _broken(self, why: str) -> ApiError:
        return invalid(Fault(field="body", message=f"is not packed as Content-Encoding {self._encoding} says: {why}"))


class _TextBody:
    """Body without its byte order mark."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_begun = False

    async def receive(self) -> ReceiveMessage:
        """Receive the next piece.

        Raises:
            ApiError: 400 for another encoding than UTF-8.
        """
        message = await self._receive()
        if self._is_begun or message["type"] != "http.request":
            return message
        self._is_begun = True
        text, is_complete = message["body"], not message["more_body"]
        while len(text) < _LONGEST_MARK and not is_complete:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            text, is_complete = text + message["body"], not message["more_body"]
        if b"\0" in text[:_LONGEST_MARK] or text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise invalid(Fault(field="body", message="is UTF-16 or UTF-32; send it as UTF-8"))
        return {"type": "http.request", "body": text.removeprefix(_MARK), "more_body": not is_complete}
