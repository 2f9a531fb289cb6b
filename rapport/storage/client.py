"""Access to ClickHouse: queries by name, data as frames, errors that say whether to try again."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import polars as pl
from clickhouse_connect.driver.exceptions import Error, OperationalError
from clickhouse_connect.driver.external import ExternalData
from urllib3.exceptions import HTTPError

from rapport.storage.errors import TerminalStorageError, TransientStorageError, is_transient
from rapport.storage.queries import load_query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from rapport.domain.tenant_versions import VersionKind
    from rapport.settings import ClickHouseSettings

T = TypeVar("T")
QueryTimer = Callable[[str], AbstractContextManager[Any]]

_ALREADY_EXISTS: Final = (57, 15)  # codes for a table and for a column
_ILLEGAL_COLUMN: Final = 44  # also the code for an index that exists
_ARROW_TYPES: Final[Mapping[Any, str]] = {
    pl.String: "String",
    pl.UInt64: "UInt64",
    pl.UInt32: "UInt32",
    pl.Int64: "Int64",
}


class Announcer(Protocol):
    """Tells all processes what has changed in the tables."""

    @property
    def has_states(self) -> bool:
        """Whether there are customer states in a shared state."""

    def forget_states(self, tenant_id: str, customer_ids: Collection[str]) -> bool:
        """Forget the states of some customers; return whether that was possible."""

    def raise_version(self, tenant_id: str, kind: VersionKind) -> int:
        """Raise a version of what processes keep in memory of a tenant."""


@dataclass(frozen=True, slots=True)
class Store:
    """A ClickHouse database.

    Thread-safe: the HTTP client holds no session. Every method raises :class:`TransientStorageError` or
    :class:`TerminalStorageError`.

    Attributes:
        client: The HTTP client, connected to the database.
        insert_settings: Sent with every insert; the quorum on a cluster.
        select_settings: Sent with every select; sequential consistency on a cluster.
        timer: Called with a query's name around each call; the metrics hook.
        announcer: Told of changes after they are stored; None where nobody else is to know.
    """

    client: Client
    insert_settings: Mapping[str, Any]
    select_settings: Mapping[str, Any]
    timer: QueryTimer = nullcontext
    announcer: Announcer | None = None

    def select(
        self,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        frames: Mapping[str, pl.DataFrame] | None = None,
    ) -> pl.DataFrame:
        """Run ``sql/queries/<name>.sql``.

        Args:
            name: The query's path below ``sql/queries``, without the suffix.
            parameters: Values of its ``{name:Type}`` placeholders; bound by the server.
            frames: Tables that the query joins with, sent along as external data under these names.
        """
        external = _external_data(frames) if frames else None
        with self.timer(name):
            data: bytes = _translate_errors(
                lambda: self.client.raw_query(
                    load_query(name),
                    parameters=dict(parameters or {}),
                    settings=dict(self.select_settings),
                    fmt="ArrowStream",
                    external_data=external,
                )
            )
        return pl.read_ipc_stream(io.BytesIO(data)) if data else pl.DataFrame()

    def rows(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run a query like :meth:`select` and return dictionaries: for the few rows of small tables."""
        return self.select(name, parameters).to_dicts()

    def insert(self, table: str, frame: pl.DataFrame) -> None:
        """Insert a frame whose columns are named like the table's; missing columns take their defaults."""
        if frame.is_empty():
            return
        body = io.BytesIO()
        frame.write_ipc_stream(body, compat_level=pl.CompatLevel.newest())
        with self.timer(f"insert/{table}"):
            _translate_errors(
                lambda: self.client.raw_insert(
                    table,
                    column_names=frame.columns,
                    insert_block=body.getvalue(),
                    settings=dict(self.insert_settings),
                    fmt="ArrowStream",
                )
            )

    def command(self, name: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement of ``sql/queries`` that returns nothing (``INSERT … SELECT``)."""
        with self.timer(name):
            _translate_errors(
                lambda: self.client.command(
                    load_query(name), parameters=dict(parameters or {}), settings=dict(self.insert_settings)
                )
            )

    def execute(self, statement: str, *, tolerate_existing: bool = False) -> None:
        """Run a statement given as text: a migration, or a statement typed by an operator.

        Args:
            statement: The SQL.
            tolerate_existing: Treat "already exists" as success: a crash came between a migration and its record.
        """
        try:
            _translate_errors(lambda: self.client.command(statement))
        except TerminalStorageError as error:
            is_index = error.code == _ILLEGAL_COLUMN and "index with this name already exists" in str(error)
            if not (tolerate_existing and (error.code in _ALREADY_EXISTS or is_index)):
                raise

    def raise_version(self, tenant_id: str, kind: VersionKind) -> None:
        """Announce that a tenant's catalogue, keys or merges have changed; called after each such change."""
        if self.announcer is not None:
            self.announcer.raise_version(tenant_id, kind)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def connect(
    settings: ClickHouseSettings,
    *,
    database: str | None = None,
    timer: QueryTimer = nullcontext,
    announcer: Announcer | None = None,
) -> Store:
    """Connect to ClickHouse.

    Args:
        settings: URL, user and limits.
        database: Overrides the settings' database; the migration runner connects before it exists.
        timer: See :class:`Store`.
        announcer: Told of changes, see :class:`Store`.

    Raises:
        TransientStorageError: The server does not answer.
        TerminalStorageError: The server answers, but refuses.
    """
    url = urlsplit(settings.url)

    def open_client() -> Client:
        return clickhouse_connect.get_client(
            interface=url.scheme,
            host=url.hostname or "127.0.0.1",
            port=url.port or (8443 if url.scheme == "https" else 8123),
            username=unquote(url.username) if url.username else settings.user,
            password=unquote(url.password) if url.password is not None else settings.password.reveal(),
            database=settings.database if database is None else database,
            send_receive_timeout=settings.timeout_s,
            connect_timeout=min(10, settings.timeout_s),
            autogenerate_session_id=False,
            form_encode_query_params=True,
            tz_mode="aware",
            query_retries=0,
        )

    try:
        client = _translate_errors(open_client)
    except TransientStorageError as error:
        raise TransientStorageError(
            f"ClickHouse at {url.scheme}://{url.netloc.rpartition('@')[2]} does not answer; is it running?", error.code
        ) from error
    quorum = {"insert_quorum": settings.insert_quorum} if settings.insert_quorum else {}
    return Store(
        client=client,
        insert_settings={"async_insert": 0, "max_partitions_per_insert_block": 0, "optimize_on_insert": 0, **quorum},
        select_settings={"select_sequential_consistency": 1} if quorum else {},
        timer=timer,
        announcer=announcer,
    )


def _external_data(frames: Mapping[str, pl.DataFrame]) -> ExternalData:
    external = ExternalData()
    for name, frame in frames.items():
        body = io.BytesIO()
        frame.write_ipc_stream(body, compat_level=pl.CompatLevel.oldest())
        types: Sequence[str] = [f"{column} {_ARROW_TYPES[dtype]}" for column, dtype in frame.schema.items()]
        external.add_file(file_name=name, data=body.getvalue(), fmt="ArrowStream", structure=types)
    return external


def _translate_errors(call: Callable[[], T]) -> T:
    try:
        return call()
    except OperationalError as error:
        raise TransientStorageError(str(error), error.code or 0) from error
    except Error as error:
        kind = TransientStorageError if is_transient(error.code or 0, str(error)) else TerminalStorageError
        raise kind(str(error), error.code or 0) from error
    except (HTTPError, OSError) as error:
        raise TransientStorageError(str(error)) from error
