"""Execution of one request on the engine: blocking calls, to be made on threads."""

from __future__ import annotations

import threading
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from rapport.embedded.clickhouse.engine_errors import EngineError
from rapport.embedded.clickhouse.handle_pool import HandleConfig
from rapport.embedded.clickhouse.handles import QueryCounts, Stream, quote_name, quote_text
from rapport.embedded.clickhouse.spool import Spool
from rapport.embedded.clickhouse.statements import DataInsert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rapport.embedded.clickhouse.handle_pool import HandlePool
    from rapport.embedded.clickhouse.handles import Handle, QueryResult
    from rapport.embedded.clickhouse.http_requests import QueryRequest
    from rapport.embedded.clickhouse.sessions import Session
    from rapport.embedded.clickhouse.statements import Statement

# a value in quotes is an expression, such as 'auto(2)', and already a literal
_SETTINGS_SQL: Final = """
SELECT name || ' = ' || multiIf(NOT changed, 'DEFAULT', value LIKE '\\'%\\'', value, '\\'' || value || '\\'')
FROM system.settings WHERE name IN {names:Array(String)}
"""


class Execution:
    """One request on a handle of its own, or on its session's.

    A session's handle keeps its settings, database and external tables: those of a request are undone at its end. The
    caller must call `close`, whatever happened; it ends a call that still runs.

    Args:
        handles: Source of handles without a session.
        request: The request.
        statement: Its parsed text.
        session: The session this request holds, if any.
    """

    def __init__(
        self,
        handles: HandlePool,
        request: QueryRequest,
        statement: Statement | DataInsert,
        session: Session | None,
    ) -> None:
        self._handles = handles
        self._request = request
        self._config = HandleConfig.from_request(request)
        self._is_clean_after = _is_clean_after(request, statement)
        self._has_succeeded = False
        self._session = session
        self._handle: Handle | None = None
        self._running: Stream | None = None
        self._spool: Spool | None = None
        self._undo: list[Callable[[], object]] = []
        # guards `_handle` and `_is_killed`: a handle whose query was killed must serve no other request
        self._kill_lock = threading.Lock()
        self._is_killed = False
        # a cancelled request closes from another thread while a call runs: closing must wait for the call
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether there is anything to close; must not be read while a call may run."""
        return self._handle is not None or self._spool is not None

    def query(self, sql: bytes, output_format: str) -> QueryResult:
        """Run a statement to its end.

        Raises:
            EngineError: When it fails.
        """
        with self._lock:
            answer = self._open().query(sql, output_format, self._request.parameters)
            self._has_succeeded = True
            return answer

    def start_stream(self, sql: bytes, output_format: str) -> QueryResult | None:
        """Start a SELECT and return its first piece, None when it has no rows.

        Raises:
            EngineError: When it fails before the first row.
        """
        with self._lock:
            self._running = self._open().stream(sql, output_format, self._request.parameters)
            return self._fetch()

    def fetch(self) -> QueryResult | None:
        """Return the next piece of a started SELECT, None at the end.

        Raises:
            EngineError: When it fails half way.
        """
        with self._lock:
            return self._fetch()

    def append(self, data: bytes) -> None:
        """Append a piece of an INSERT's data.

        Raises:
            EngineError: 243 when there is no space for it.
        """
        with self._lock:
            if self._spool is None:
                self._spool = self._new_spool()
            self._spool.append(data)

    def insert(self, statement: DataInsert, data: bytes) -> QueryCounts:
        """Run an INSERT on the appended data and this last piece.

        Raises:
            EngineError: When any of it fails.
        """
        try:
            self.append(data)
            with self._lock:
                counts = self._insert(self._open(), statement)
                self._has_succeeded = True
                return counts
        finally:
            self.close()

    def kill(self) -> None:
        """Stop a call that runs on another thread, if the request asked for that; the call then fails."""
        with self._kill_lock:
            handle = self._handle
            if handle is None or not self._request.ends_with_client:
                return
            self._is_killed = True
            mark = handle.mark
        self._handles.engine.kill(mark)

    def close(self) -> None:
        """End a call that still runs and give the handle back. Harmless when called again."""
        with self._lock:
            with self._kill_lock:
                handle, running, self._handle, self._running = self._handle, self._running, None, None
            if running is not None:
                running.close()
            if self._spool is not None:
                self._spool.close()
                self._spool = None
            if handle is None:
                return
            if self._session is not None:
                self._restore(handle, self._session)
            elif self._has_succeeded and self._is_clean_after and not self._is_killed:
                self._handles.give_back(handle, self._config)
            else:
                handle.close()

    def _restore(self, handle: Handle, session: Session) -> None:
        try:
            while self._undo:
                self._undo.pop()()
        except EngineError:  # the session's database may be gone: a new handle rather than one in an unknown state
            handle.close()
            session.handle = None

    def _fetch(self) -> QueryResult | None:
        piece = None if self._running is None else self._running.fetch()
        self._has_succeeded = piece is None
        return piece

    def _open(self) -> Handle:
        """Take the handle and prepare it: database, settings, external tables."""
        if self._session is None:
            handle = self._handle = self._handles.take(self._config)
        else:
            handle = self._handle = self._find_handle(self._session)
            self._change(handle)
        for table in self._request.tables:
            name = quote_name(table.name)
            handle.query(f"CREATE TEMPORARY TABLE {name} ({table.structure}) ENGINE = Memory", "Null")
            self._undo.append(partial(handle.query, f"DROP TEMPORARY TABLE {name}", "Null"))
            with closing(self._new_spool()) as spool:
                spool.append(table.data)
                statement = DataInsert(f"INSERT INTO {name}".encode(), b"", table.input_format, 0)
                handle.query(statement.make_file_insert(spool.path), "Null")
        return handle

    def _insert(self, handle: Handle, statement: DataInsert) -> QueryCounts:
        if self._spool is None:
            return QueryCounts()
        answer = handle.query(statement.make_file_insert(self._spool.path), "Null", self._request.parameters)
        rows, size = answer.counts.written_rows, answer.counts.written_bytes
        return QueryCounts(read_rows=rows, read_bytes=size, written_rows=rows, written_bytes=size)

    def _new_spool(self) -> Spool:
        return Spool(self._handles.engine.data_dir)

    def _find_handle(self, session: Session) -> Handle:
        if session.handle is None:
            session.handle = self._handles.engine.open_handle()
        return session.handle

    def _change(self, handle: Handle) -> None:
        """Give a session's handle the database and settings of this request, until it is closed."""
        if self._request.database:
            (database,) = _read_column(handle, "SELECT currentDatabase()")
            self._undo.append(partial(handle.use, database))
            handle.use(self._request.database)
        handle.renew_mark()  # a session's handle serves the next request even if this one is stopped
        settings = self._config.settings_for(handle)
        if settings:
            self._remember(handle, settings)
            handle.set(settings)

    def _remember(self, handle: Handle, settings: Iterable[str]) -> None:
        names = "[" + ",".join(map(quote_text, settings)) + "]"
        before = _read_column(handle, _SETTINGS_SQL, {"names": names})
        if before:
            self._undo.append(partial(handle.query, "SET " + ", ".join(before), "Null"))


def _is_clean_after(request: QueryRequest, statement: Statement | DataInsert) -> bool:
    """Return whether a handle is as good as new after this request: it is not if the request had tables."""
    return not request.tables and (isinstance(statement, DataInsert) or statement.is_select)


def _read_column(handle: Handle, sql: str, parameters: Mapping[str, str] | None = None) -> list[str]:
    return handle.query(sql, "TabSeparatedRaw", parameters).data.decode().splitlines()
