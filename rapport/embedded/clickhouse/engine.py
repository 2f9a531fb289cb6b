"""ClickHouse inside this process.

chDB runs one engine per process on one directory and hands out any number of handles to it, so a handle per
request isolates requests from each other.

An insert is durable once it is answered in the sense that `kill -9` of this process loses nothing: parts are written
and renamed before the answer, and the page cache outlives the process. A power cut is another matter, as with a
ClickHouse server that has no fsync settings. The engine's lock file is an advisory lock, gone with the process.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlencode

from rapport.embedded.clickhouse.engine_errors import refuse
from rapport.embedded.clickhouse.handles import Handle

if TYPE_CHECKING:
    from collections.abc import Callable

    from rapport.embedded.clickhouse.handles import Connection

_RIGHTS = Path(__file__).with_name("engine.xml")
_FORMATS_SQL = "SELECT name, content_type FROM system.formats WHERE is_output"
_DEFAULTS_SQL = (
    "SELECT toString(value) FROM system.settings "
    "WHERE name IN ('enable_http_compression', 'max_query_size') ORDER BY name"
)


class Engine:
    """The engine of this process.

    Attributes:
        data_dir: Its directory.
        version: ClickHouse's version, for example ``26.9.2.1``.
        timezone: The server time zone, always ``UTC``.
        content_types: HTTP content type by output format, format names in lower case.
        compresses: Whether responses are compressed unless a request asks otherwise (``enable_http_compression``).
        max_query_bytes: Longest query text, for an INSERT without its data.
    """

    def __init__(self, data_dir: Path, *, memory_ratio: float = 0.5) -> None:
        """Open or create the database files.

        Args:
            data_dir: The engine's directory; created when missing.
            memory_ratio: Share of the machine's memory that all queries together may use.

        Raises:
            EngineError: When another process uses the directory or it cannot be read.
        """
        self.data_dir = data_dir.resolve()
        self._path = str(self.data_dir)
        if "?" in self._path:  # where chDB's options begin
            raise refuse(36, f"the name of the data directory {self._path} must not contain '?'")
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        data_dir.chmod(0o700)
        self._connect = _load()
        options = {
            "max_server_memory_usage_to_ram_ratio": memory_ratio,
            "config-file": _RIGHTS,
            "users_config": _RIGHTS,
        }
        self._open_handles = 0
        self._changed = threading.Condition()
        try:
            self._root = self._connect(f"{self._path}?{urlencode(options, quote_via=quote)}")
        except Exception as error:
            raise refuse(1002, f"cannot open {data_dir}, is another process using it? {error}") from error
        with self.open_handle() as handle:
            self.version, self.timezone = _rows(handle, "SELECT version(), timezone()")[0]
            self.content_types = {name.lower(): kind for name, kind in _rows(handle, _FORMATS_SQL)}
            (compresses,), (max_query_bytes,) = _rows(handle, _DEFAULTS_SQL)
        self.compresses = compresses != "0"
        self.max_query_bytes = int(max_query_bytes)

    def open_handle(self) -> Handle:
        """Open a handle with default settings in the database ``default``."""
        handle = Handle(self._connect(self._path), self._count_closed)
        with self._changed:
            self._open_handles += 1
        return handle

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no handle is open; return whether that came true in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open_handles == 0, seconds)

    def kill(self, log_comment: str | None = None) -> None:
        """Stop running queries, without waiting for their end.

        Args:
            log_comment: Only those with this value of the setting; all of them when None.
        """
        which = "query NOT LIKE 'KILL%'" if log_comment is None else "Settings['log_comment'] = {comment:String}"
        with self.open_handle() as handle:
            handle.query(f"KILL QUERY WHERE {which} ASYNC", "Null", {"comment": log_comment or ""})

    def close(self) -> None:
        """Shut the engine down; every other handle must be closed before."""
        self._root.close()

    def _count_closed(self) -> None:
        with self._changed:
            self._open_handles -= 1
            self._changed.notify_all()


def _load() -> Callable[[str], Connection]:
    """Import chDB, which reads the process's time zone once, while it is imported."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    from chdb.state import connect  # noqa: PLC0415 - must follow the change of TZ

    return cast("Callable[[str], Connection]", connect)


def _rows(handle: Handle, sql: str) -> list[list[str]]:
    return [line.split("\t") for line in handle.query(sql, "TabSeparated").data.decode().splitlines()]
