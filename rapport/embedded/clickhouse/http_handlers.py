"""Routes of ClickHouse's HTTP interface: queries on `/`, health on `/ping` and `/replicas_status`."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from aiohttp import web

from rapport.embedded.clickhouse.compression import open_encoder
from rapport.embedded.clickhouse.engine_errors import EngineError, refuse
from rapport.embedded.clickhouse.execution import Execution
from rapport.embedded.clickhouse.handle_pool import HandlePool
from rapport.embedded.clickhouse.handles import QueryCounts
from rapport.embedded.clickhouse.http_requests import read_request
from rapport.embedded.clickhouse.http_responses import ResponseBuilder, format_late_error, make_error_response
from rapport.embedded.clickhouse.sessions import Sessions
from rapport.embedded.clickhouse.statements import DataInsert, Statement, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor

    from rapport.embedded.clickhouse.engine import Engine
    from rapport.embedded.clickhouse.handles import QueryResult
    from rapport.embedded.clickhouse.http_requests import Body, QueryRequest

T = TypeVar("T")

MAX_TEXT_BYTES: Final = 64 << 20
"""Longest statement, an INSERT's data not counted, that `max_query_size` can allow."""
_MAX_DIGITS: Final = 20
"""Python refuses to read numbers of thousands of digits; more digits than these mean the highest allowed value."""
APPEND_BYTES: Final = 1 << 20
"""Size of the pieces in which an INSERT's data is collected."""
_CLIENT_CHECK_SECONDS: Final = 0.5
"""Interval of the checks whether the client of a slow query is still connected."""

_STREAMABLE_FORMATS: Final = frozenset(
    {"native", "rowbinary", "csv", "tabseparated", "tsv", "tabseparatedraw", "tsvraw"}
    | {"jsoneachrow", "jsonlines", "jsonl", "ndjson", "jsoncompacteachrow"}
)
"""Formats whose pieces, one after the other, are a whole result. The others have a beginning or an end."""
_UNSTREAMABLE_SETTINGS: Final = (b"output_format_json_array_of_rows", b"extremes")
"""Settings that give a streamed format a beginning or an end."""

log = logging.getLogger(__name__)


class Handlers:
    """Request handlers on one engine.

    Args:
        engine: The engine.
        threads: Threads for its blocking calls.
    """

    def __init__(self, engine: Engine, threads: Executor) -> None:
        self._engine = engine
        self._threads = threads
        self._handles = HandlePool(engine)
        self._sessions = Sessions(lambda handle: threads.submit(handle.close))

    def close(self) -> None:
        """End every session, and close the pooled handles."""
        self._sessions.close()
        self._handles.close()

    def routes(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.route("*", "/", self.answer),
            web.get("/ping", _answer_ok),
            web.get("/replicas_status", _answer_ok),
            web.route("*", "/{other:.*}", _answer_not_found),
        ]

    async def answer(self, http: web.Request) -> web.StreamResponse:
        """Run the query of a request; answer Ok when a GET has none."""
        query_id = http.query.get("query_id", "")
        try:
            request = await read_request(http, compresses=self._engine.compresses)
            if request.must_read_only and not request.query:
                return await _answer_ok(http)
            query_id = request.query_id
            return await self._run(http, request)
        except EngineError as error:
            log.warning("query %s failed: %s", query_id or "-", _join_lines(error.message))
            return make_error_response(error, self._engine.version, query_id)
        except (ConnectionError, web.RequestPayloadError) as error:
            log.warning("query %s was given up by its client: %s", query_id or "-", _join_lines(repr(error)))
            return web.Response(status=400)  # the client has disconnected
        except Exception as error:  # noqa: BLE001 - a fault of this server must reach the client as one
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error("query %s met a fault at %s:%s: %r", query_id or "-", place.filename, place.lineno, error)  # noqa: TRY400 - one line
            return make_error_response(
                refuse(1002, f"The embedded endpoint failed: {error!r}"), self._engine.version, query_id
            )

    async def _run(self, http: web.Request, request: QueryRequest) -> web.StreamResponse:
        builder = ResponseBuilder(self._engine, request, time.perf_counter_ns())
        text = bytearray(request.query)
        ended = await _read_onto(text, request.body, self._max_query_bytes(request), join=b"\n")
        statement = parse(bytes(text))
        if not ended and isinstance(statement, Statement):
            raise refuse(62, "Max query size exceeded (can be increased with the `max_query_size` setting)")
        if request.must_read_only and not (isinstance(statement, Statement) and statement.is_read):
            raise refuse(164, "Cannot execute query in readonly mode: method GET implies readonly, use POST")
        async with self._make_execution(request, statement) as execution:
            if isinstance(statement, DataInsert):
                del text[: statement.data_at]
                counts = await self._insert(execution, request.body, statement, text, ended=ended)
                return builder.build_whole(b"", counts, None)
            if _can_stream(request, statement, text):
                return await self._stream(http, builder, execution, statement, bytes(text))
            answering = asyncio.ensure_future(self._call(_query, execution, builder, statement, bytes(text)))
            await self._watch(http, answering, execution if statement.is_read else None)
            return await answering

    def _max_query_bytes(self, request: QueryRequest) -> int:
        requested = request.settings.get("max_query_size", "")
        if not requested.isdecimal():
            return self._engine.max_query_bytes
        return min(int(requested[:_MAX_DIGITS]) or MAX_TEXT_BYTES, MAX_TEXT_BYTES)

    async def _insert(
        self, execution: Execution, body: Body, statement: DataInsert, data: bytearray, *, ended: bool
    ) -> QueryCounts:
        """Collect the body until it is whole, then have the engine read it: half a body stores nothing."""
        while not (ended or await _read_onto(data, body, APPEND_BYTES)):
            await self._call(execution.append, bytes(data))
            data.clear()
        return await self._call(execution.insert, statement, bytes(data))

    async def _stream(
        self, http: web.Request, builder: ResponseBuilder, execution: Execution, statement: Statement, sql: bytes
    ) -> web.StreamResponse:
        """Send a result piece by piece. A failure before the first row is an ordinary error."""
        output_format = statement.output_format or builder.request.default_format
        piece = await self._call(execution.start_stream, sql, output_format)
        if piece is None:
            return builder.build_whole(b"", QueryCounts(), output_format)
        response = builder.start_stream(piece.counts, output_format)
        await response.prepare(http)
        try:
            await self._send(response, builder.request, execution, piece)
        except BaseException:
            _break_off(http)
            raise
        return response

    async def _send(
        self, response: web.StreamResponse, request: QueryRequest, execution: Execution, piece: QueryResult | None
    ) -> None:
        """Send a started SELECT from a piece on.

        Raises:
            EngineError: When it fails half way; the error is in the response then, which must not end like a whole one.
        """
        encoder = open_encoder(request.encoding)
        try:
            while piece is not None:
                is_plain = request.encoding is None
                await response.write(piece.data if is_plain else await self._call(encoder.compress, piece.data))
                piece = await self._call(execution.fetch)
        except EngineError as error:
            tag = response.headers["X-ClickHouse-Exception-Tag"]
            await response.write(
                encoder.compress(format_late_error(error, self._engine.version, tag)) + encoder.flush()
            )
            raise
        await response.write(encoder.flush())

    @asynccontextmanager
    async def _make_execution(
        self, request: QueryRequest, statement: Statement | DataInsert
    ) -> AsyncIterator[Execution]:
        requested = request.session
        session = None if requested is None else self._sessions.acquire(requested)
        execution = Execution(self._handles, request, statement, session)
        try:
            yield execution
        finally:
            if execution.is_open:
                await self._call(execution.close)
            if requested is not None and session is not None:
                self._sessions.release(requested, session)

    async def _watch(
        self, http: web.Request, answering: asyncio.Future[web.Response], execution: Execution | None
    ) -> None:
        """Wait for an answer; if the client disconnects before it, stop a query that only reads."""
        while not answering.done():
            await asyncio.wait({answering}, timeout=_CLIENT_CHECK_SECONDS)
            is_gone = http.transport is None or http.transport.is_closing()
            if is_gone and execution is not None and not answering.done():
                await asyncio.get_running_loop().run_in_executor(None, execution.kill)  # the threads may all be busy
                execution = None

    async def _call(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args))


def _can_stream(request: QueryRequest, statement: Statement, text: bytearray) -> bool:
    output_format = statement.output_format or request.default_format
    return (
        statement.is_select
        and not statement.has_totals
        and not request.is_buffered
        and request.session is None  # its settings are not known here
        and output_format.lower() in _STREAMABLE_FORMATS
        and not any(setting in text or setting.decode() in request.settings for setting in _UNSTREAMABLE_SETTINGS)
    )


def _query(execution: Execution, builder: ResponseBuilder, statement: Statement, sql: bytes) -> web.Response:
    output_format = statement.output_format or builder.request.default_format
    if output_format.lower() not in builder.engine.content_types:
        raise refuse(73, f"Unknown format {output_format}")
    try:
        answer = execution.query(sql, output_format)
    finally:
        execution.close()
    has_result = statement.is_tabular or bool(answer.data)
    return builder.build_whole(answer.data, answer.counts, output_format if has_result else None)


async def _read_onto(text: bytearray, body: Body, size: int, *, join: bytes = b"") -> bool:
    """Read a body onto ``text`` until it is ``size`` bytes long; return whether the body has ended.

    Args:
        text: Receives the body.
        body: The body.
        size: Length to stop at, in bytes.
        join: Separator between a text that is there and the body.
    """
    while len(text) < size:
        piece = await body.read()
        if not piece:
            return True
        if text:
            text += join
        join = b""
        text += piece
    return False


def _break_off(http: web.Request) -> None:
    """Close the connection without the last chunk, so that no client takes the result for a whole one."""
    if http.transport is not None:
        http.transport.close()


def _join_lines(message: str) -> str:
    return " ".join(message.split())[:500]


async def _answer_ok(_http: web.Request) -> web.Response:
    return web.Response(body=b"Ok.\n", headers={"Content-Type": "text/html; charset=UTF-8"})


async def _answer_not_found(http: web.Request) -> web.Response:
    text = f"There is no handle {http.path}\n\nUse / for queries, /ping and /replicas_status for health checks.\n"
    return web.Response(status=404, text=text)
