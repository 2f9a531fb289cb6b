"""Requests of ClickHouse's HTTP interface, parsed into a value."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from rapport.embedded.clickhouse.compression import choose_encoding, open_decoder
from rapport.embedded.clickhouse.engine_errors import refuse
from rapport.embedded.clickhouse.sessions import SessionRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from aiohttp import web

    from rapport.embedded.clickhouse.compression import Decoder

MAX_FORM_BYTES: Final = 256 << 20
_MAX_SESSION_SECONDS: Final = 3600
_MAX_DIGITS: Final = 20
_IGNORED: Final = frozenset(
    {
        # users, quotas and roles: there are none
        "user", "password", "quota_key", "role",
        # of the transport, read here or without effect in this server
        "query", "database", "default_format", "query_id", "session_id", "session_timeout", "session_check",
        "close_session", "wait_end_of_query", "buffer_size", "stacktrace", "client_protocol_version", "decompress",
        "compress", "enable_http_compression", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close", "add_http_cors_header",
    }
)  # fmt: skip


class Body:
    """The rest of a request's body, decompressed, in pieces.

    Args:
        request: The request; None when its body was a form that is read already.
    """

    def __init__(self, request: web.BaseRequest | None) -> None:
        self._pieces = None if request is None else _read_pieces(request)

    async def read(self) -> bytes:
        """Return the next piece, empty at the end.

        Raises:
            EngineError: When the compression is unknown or damaged.
            aiohttp.web.RequestPayloadError: When the client went away before the end.
        """
        return b"" if self._pieces is None else await anext(self._pieces, b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalTable:
    """A temporary table that comes with a query.

    Attributes:
        name: Its name in the query.
        structure: Columns as in CREATE TABLE.
        input_format: The format of ``data``.
        data: Its rows.
    """

    name: str
    structure: str
    input_format: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRequest:
    """One query.

    Attributes:
        query: The text given in the URL or form; the body follows it.
        body: The request's body.
        parameters: Values of ``{name:Type}`` placeholders in TSV escaping.
        settings: ClickHouse settings for this query.
        tables: External data.
        database: Current database, None for the default one (or the session's).
        default_format: The output format unless the query names one.
        query_id: The client's id, or a new one.
        session: The requested session, if any.
        must_read_only: Whether ClickHouse lets the method read only.
        is_buffered: ``wait_end_of_query``, or HEAD: no byte may leave before the query has succeeded.
        encoding: Compression of the response, if any.
        ends_with_client: ``cancel_http_readonly_queries_on_client_close``: stop a SELECT whose client has disconnected.
    """

    query: bytes
    body: Body
    parameters: dict[str, str]
    settings: dict[str, str]
    tables: tuple[ExternalTable, ...]
    database: str | None
    default_format: str
    query_id: str
    session: SessionRequest | None
    must_read_only: bool
    is_buffered: bool
    encoding: str | None
    ends_with_client: bool


async def read_request(request: web.BaseRequest, *, compresses: bool) -> QueryRequest:
    """Read everything but the body of a query, and the body too when it is a form.

    Args:
        request: The HTTP request.
        compresses: The server's default of ``enable_http_compression``.

    Raises:
        EngineError: For arguments that ClickHouse refuses or this endpoint cannot serve.
    """
    arguments = _parse_url(request)
    files: dict[str, bytes] = {}
    content_type, options = parse_options_header(request.headers.get("Content-Type", ""))
    is_form = content_type == "multipart/form-data"  # aiohttp's own property costs as much as a small query
    if is_form:
        fields, files = await _read_form(request, options.get("boundary", ""))
        arguments |= fields
    _check_utf8(arguments)
    if _is_on(arguments.get("compress", "")) or _is_on(arguments.get("decompress", "")):
        raise refuse(48, "compress=1 and decompress=1 are not supported here; use Accept-Encoding and Content-Encoding")
    tables = tuple(_external_table(name, data, arguments) for name, data in files.items())
    headers = request.headers
    return QueryRequest(
        query=arguments.get("query", "").encode(errors="surrogateescape"),
        body=Body(None if is_form else request),
        parameters={name[6:]: value for name, value in arguments.items() if name.startswith("param_")},
        settings=_settings(arguments, files),
        tables=tables,
        database=arguments.get("database") or headers.get("X-ClickHouse-Database"),
        default_format=arguments.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        query_id=arguments.get("query_id") or str(uuid.uuid4()),
        session=_session(arguments),
        must_read_only=request.method in ("GET", "HEAD"),
        is_buffered=request.method == "HEAD" or _is_on(arguments.get("wait_end_of_query", "")),
        encoding=_encoding(arguments, headers, compresses=compresses),
        ends_with_client=_is_on(arguments.get("cancel_http_readonly_queries_on_client_close", "")),
    )


def _parse_url(request: web.BaseRequest) -> dict[str, str]:
    # raw, because aiohttp's own parsed query has been re-quoted
    raw = request.raw_path.partition("?")[2]
    return dict(parse_qsl(raw, keep_blank_values=True, errors="surrogateescape"))


def _is_on(value: str) -> bool:
    return value.lower() in ("1", "true")


def _check_utf8(arguments: dict[str, str]) -> None:
    """Check that everything but the query itself is UTF-8."""
    for name, value in arguments.items():
        try:
            (name if name == "query" else name + value).encode()
        except UnicodeEncodeError:
            shown = name.encode(errors="replace").decode()
            raise refuse(36, f"The argument {shown} is not UTF-8") from None


def _settings(arguments: dict[str, str], files: dict[str, bytes]) -> dict[str, str]:
    of_tables = {f"{name}_{suffix}" for name in files for suffix in ("format", "types", "structure")}
    reserved = _IGNORED | of_tables
    return {name: v for name, v in arguments.items() if name not in reserved and not name.startswith("param_")}


def _encoding(arguments: dict[str, str], headers: Mapping[str, str], *, compresses: bool) -> str | None:
    asked = arguments.get("enable_http_compression")
    wanted = compresses if asked is None else _is_on(asked)
    return choose_encoding(headers.get("Accept-Encoding", "")) if wanted else None


def _session(arguments: dict[str, str]) -> SessionRequest | None:
    if not arguments.get("session_id"):
        return None
    timeout = arguments.get("session_timeout", "60")
    if not timeout.isdecimal() or len(timeout) > _MAX_DIGITS or int(timeout) > _MAX_SESSION_SECONDS:
        raise refuse(374, f"Invalid session timeout: '{timeout}'. At most {_MAX_SESSION_SECONDS} seconds are kept")
    return SessionRequest(
        session_id=arguments["session_id"],
        timeout_seconds=float(timeout),
        must_exist=_is_on(arguments.get("session_check", "")),
        close_after=_is_on(arguments.get("close_session", "")),
    )


def _external_table(name: str, data: bytes, arguments: dict[str, str]) -> ExternalTable:
    structure = arguments.get(f"{name}_structure")
    if structure is None:
        types = arguments.get(f"{name}_types")
        if types is None:
            raise refuse(
                36,
                f"Neither structure nor types have been provided for external table {name}. "
                f"Use fields {name}_structure or {name}_types to do so",
            )
        structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(_split_types(types), start=1))
    input_format = arguments.get(f"{name}_format", "TabSeparated")
    return ExternalTable(name=name, structure=structure, input_format=input_format, data=data)


def _split_types(types: str) -> list[str]:
    """Split a list of types at the commas that are in no brackets: ``Array(UInt8), Map(String, UInt8)`` is two."""
    parts, depth = [""], 0
    for letter in types:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


async def _read_form(request: web.BaseRequest, boundary: str) -> tuple[dict[str, str], dict[str, bytes]]:
    """Read a form into its fields and its files, by name."""
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    try:
        async for part, data in _read_parts(request, boundary):
            if not part.name:
                raise refuse(36, "A part of the form has no name")
            if part.filename is None:
                fields[part.name] = data.decode(errors="surrogateescape")
            else:
                files[part.name] = data
    except MultipartError as error:
        raise refuse(36, f"The form cannot be read: {error}") from error
    return fields, files


async def _read_parts(request: web.BaseRequest, boundary: str) -> AsyncIterator[tuple[MultipartSegment, bytes]]:
    size = 0
    data = bytearray()
    with PushMultipartParser(boundary) as parser:
        async for piece in request.content.iter_any():
            size += len(piece)
            if size > MAX_FORM_BYTES:
                raise refuse(229, f"A form may have {MAX_FORM_BYTES} bytes; insert larger data into a table")
            for event in parser.parse(piece):  # a part's head, its data, and None
                if isinstance(event, MultipartSegment):
                    part = event
                elif event is None:
                    yield part, bytes(data)
                    data.clear()
                else:
                    data += event


async def _read_pieces(request: web.BaseRequest) -> AsyncIterator[bytes]:
    decoder = open_decoder(request.headers.get("Content-Encoding", ""))
    async for data in request.content.iter_any():
        for piece in _decode(decoder, data):
            yield piece
    if decoder is not None:
        decoder.finish()


def _decode(decoder: Decoder | None, data: bytes) -> Iterator[bytes]:
    return iter((data,)) if decoder is None else decoder.feed(data)
