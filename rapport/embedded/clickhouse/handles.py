"""chDB handles, typed and with ClickHouse's errors.

A handle has its own settings, current database and temporary tables, and may be used by one thread at a time, any
thread. Its calls release the GIL.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from rapport.embedded.clickhouse.engine_errors import read_failure, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Result(Protocol):
    """A result, or a piece of one, as chDB returns it."""

    def bytes(self) -> bytes: ...
    def rows_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...


class _StreamingResult(Protocol):
    def fetch(self) -> _Result | None: ...
    def close(self) -> None: ...


class Connection(Protocol):
    """chDB's own handle."""

    def query(self, sql: bytes | str, output_format: str, /, *, params: Mapping[str, str]) -> _Result:
        """Run a statement."""

    def send_query(self, sql: bytes | str, output_format: str, /, *, params: Mapping[str, str]) -> _StreamingResult:
        """Start a SELECT."""

    def close(self) -> None:
        """Close the handle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCounts:
    """Rows and (uncompressed) bytes that a query read, wrote and returned."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A whole result.

    Attributes:
        data: The rows, in the requested format.
        counts: The engine's statistics.
    """

    data: bytes
    counts: QueryCounts


class Stream:
    """A SELECT whose result is fetched in pieces of some 65,000 rows; a piece is a whole encoding of its rows."""

    def __init__(self, result: _StreamingResult) -> None:
        self._result = result

    def fetch(self) -> QueryResult | None:
        """Return the next piece, None at the end.

        Raises:
            EngineError: When the query fails in the middle.
        """
        try:
            piece = self._result.fetch()
        except Exception as error:
            raise read_failure(str(error)) from error
        return None if piece is None else _read_result(piece)

    def close(self) -> None:
        """Stop the query, if it still runs."""
        self._result.close()


class Handle:
    """One chDB handle. A context manager; not for two threads at once.

    Attributes:
        mark: Its own value for the setting ``log_comment``, by which its queries can be found.
    """

    def __init__(self, connection: Connection, on_close: Callable[[], object]) -> None:
        self.renew_mark()
        self._connection = connection
        self._on_close = on_close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def query(self, sql: bytes | str, output_format: str, parameters: Mapping[str, str] | None = None) -> QueryResult:
        """Run a statement and return its whole result.

        Args:
            sql: The statement; a FORMAT in it wins over ``output_format``.
            output_format: A ClickHouse output format.
            parameters: Values of ``{name:Type}`` placeholders, in ClickHouse's TSV escaping.

        Raises:
            EngineError: The engine's error.
        """
        try:
            return _read_result(self._connection.query(sql, output_format, params=dict(parameters or {})))
        except Exception as error:
            raise read_failure(str(error)) from error

    def stream(self, sql: bytes | str, output_format: str, parameters: Mapping[str, str] | None = None) -> Stream:
        """Start a SELECT; its handle must run nothing else until the stream is at its end or closed.

        Raises:
            EngineError: When the query cannot start.
        """
        try:
            return Stream(self._connection.send_query(sql, output_format, params=dict(parameters or {})))
        except Exception as error:
            raise read_failure(str(error)) from error

    def use(self, database: str) -> None:
        """Change the handle's current database.

        Raises:
            EngineError: 81 when there is none of that name.
        """
        self.query(f"USE {quote_name(database)}", "Null")

    def renew_mark(self) -> None:
        """Take another mark, so that stopping queries by the old one stops none of this handle's later queries."""
        self.mark = uuid.uuid4().hex

    def set(self, settings: Mapping[str, str]) -> None:
        """Change settings of the handle; none of them when one is unknown or wrong.

        Raises:
            EngineError: 115 for an unknown name, or whatever the engine says of a value.
        """
        wrong = next((name for name in settings if not _SETTING_NAME.fullmatch(name)), None)
        if wrong is not None:
            raise refuse(115, f"Unknown setting '{wrong}'")
        if settings:
            changes = ", ".join(f"{name} = {quote_text(value)}" for name, value in settings.items())
            self.query(f"SET {changes}", "Null")

    def close(self) -> None:
        """Close the handle, ending any query that runs on it."""
        self._connection.close()
        self._on_close()


def quote_name(name: str) -> str:
    """Quote an identifier for SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def quote_text(text: str) -> str:
    """Quote a string literal for SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _read_result(result: _Result) -> QueryResult:
    counts = QueryCounts(
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        result_rows=result.rows_read(),
    )
    return QueryResult(result.bytes() or b"", counts)
