"""Queries that an operator types: read-only, with the result in any output format of ClickHouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from clickhouse_connect.driver.exceptions import Error, OperationalError
from urllib3.exceptions import HTTPError

from rapport.storage.errors import TerminalStorageError, TransientStorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase

    from rapport.storage.client import Store

READ_ONLY: Final = {"readonly": 2}
"""2 rather than 1, which would refuse the settings that clients send along. The query itself can lift neither."""


def run_query(store: Store, text: str, output_format: str) -> Iterator[bytes]:
    """Run a query that can only read.

    Args:
        store: The database.
        text: One statement; a FORMAT at its end takes precedence over ``output_format``.
        output_format: A ClickHouse output format.

    Yields:
        The result, piece by piece.

    Raises:
        TransientStorageError: The server does not answer.
        TerminalStorageError: The server refuses the query.
    """
    headers = {"X-ClickHouse-Format": output_format}
    try:
        answer = store.client.raw_stream(text, settings=dict(READ_ONLY), transport_settings=headers)
        with cast("BufferedIOBase", answer) as body:
            while piece := body.read(1 << 16):
                yield piece
    except OperationalError as error:
        raise TransientStorageError(str(error), error.code or 0) from error
    except Error as error:
        raise TerminalStorageError(str(error), error.code or 0) from error
    except (HTTPError, OSError) as error:
        raise TransientStorageError(str(error)) from error
