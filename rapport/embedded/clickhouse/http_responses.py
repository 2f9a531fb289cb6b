"""Responses of ClickHouse's HTTP interface: headers, errors, and errors in the middle of a result."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from rapport.embedded.clickhouse.compression import open_encoder

if TYPE_CHECKING:
    from rapport.embedded.clickhouse.engine import Engine
    from rapport.embedded.clickhouse.engine_errors import EngineError
    from rapport.embedded.clickhouse.handles import QueryCounts
    from rapport.embedded.clickhouse.http_requests import QueryRequest

DISPLAY_NAME: Final = "rapport-embedded"
_PLAIN: Final = "text/plain; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class ResponseBuilder:
    """Builder of the responses to one request.

    Attributes:
        engine: Gives version, time zone and content types.
        request: The request.
        started_ns: Time of the request, on the clock of ``time.perf_counter_ns``.
    """

    engine: Engine
    request: QueryRequest
    started_ns: int

    def build_whole(self, data: bytes, counts: QueryCounts, output_format: str | None) -> web.Response:
        """Build the response for a complete result (``output_format`` is None when the statement has none)."""
        headers = self._headers(counts, output_format)
        if data and self.request.encoding is not None:
            encoder = open_encoder(self.request.encoding)
            data = encoder.compress(data) + encoder.flush()
            headers["Content-Encoding"] = self.request.encoding
        return web.Response(body=data, headers=headers)

    def start_stream(self, counts: QueryCounts, output_format: str) -> web.StreamResponse:
        """Build a response whose rows follow; its counts are the ones known so far."""
        headers = self._headers(counts, output_format)
        if self.request.encoding is not None:
            headers["Content-Encoding"] = self.request.encoding
        headers["X-ClickHouse-Exception-Tag"] = secrets.token_hex(8)
        return web.StreamResponse(headers=headers)

    def _headers(self, counts: QueryCounts, output_format: str | None) -> dict[str, str]:
        headers = _base_headers(self.request.query_id)
        headers["Content-Type"] = self.engine.content_types.get((output_format or "").lower(), _PLAIN)
        headers["X-ClickHouse-Timezone"] = self.request.settings.get("session_timezone") or self.engine.timezone
        headers["X-ClickHouse-Summary"] = _summary(counts, time.perf_counter_ns() - self.started_ns)
        if output_format is not None:
            headers["X-ClickHouse-Format"] = output_format
        return headers


def make_error_response(error: EngineError, version: str, query_id: str) -> web.Response:
    """Make the response for an error: text as the body, number in a header, the status a server would choose."""
    headers = _base_headers(query_id) | {
        "Content-Type": _PLAIN,
        "X-ClickHouse-Exception-Code": str(error.code),
    }
    return web.Response(status=error.status, body=format_error(error, version), headers=headers)


def format_error(error: EngineError, version: str) -> bytes:
    """Format an error's text as servers end it: with the version and a line end."""
    trailer = "" if error.message.endswith(f"(version {version})") else f" (version {version})"
    return f"{error.message}{trailer}\n".encode(errors="replace")


def format_late_error(error: EngineError, version: str, tag: str) -> bytes:
    """Format an error as servers write it into a result whose query fails after the first rows were sent.

    Args:
        error: The failure.
        version: The server's version.
        tag: The ``X-ClickHouse-Exception-Tag`` of the response.
    """
    text = format_error(error, version)
    length = str(len(text)).encode()
    mark = tag.encode()
    return b"\r\n__exception__\r\n%b\r\n%b%b %b\r\n__exception__\r\n" % (mark, text, length, mark)


def _base_headers(query_id: str) -> dict[str, str]:
    query_id = query_id.encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")
    return {"X-ClickHouse-Server-Display-Name": DISPLAY_NAME, "X-ClickHouse-Query-Id": query_id}


def _summary(counts: QueryCounts, elapsed_ns: int) -> str:
    """Format the statistics; ClickHouse writes its numbers as strings."""
    values = {
        "read_rows": counts.read_rows,
        "read_bytes": counts.read_bytes,
        "written_rows": counts.written_rows,
        "written_bytes": counts.written_bytes,
        "total_rows_to_read": 0,
        "result_rows": counts.written_rows or counts.result_rows,
        "result_bytes": counts.written_bytes,
        "elapsed_ns": elapsed_ns,
    }
    return json.dumps({name: str(value) for name, value in values.items()}, separators=(",", ":"))
