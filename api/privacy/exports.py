"""Exports of customers' data on the wire, in bounded memory however large they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from api.privacy.schemas import dsar_view
from rapport.storage.dsar_exports import read_export

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rapport.storage.database import Database
    from rapport.storage.dsar import DsarRequest


async def stream_export(database: Database, request: DsarRequest) -> AsyncIterator[bytes]:
    """Write a completed export as :class:`api.privacy.schemas.DsarDetail`, page after page.

    Raises:
        StorageError: The database does not answer any more: the body is cut off, and no JSON.
    """
    yield msgspec.json.encode(dsar_view(request))[:-1] + b',"result":{'
    after = ("", 0)
    while rows := await database.call(read_export, request, after):
        parts: list[str] = []
        for table, position, body in rows:
            if table != after[0]:
                parts.append(f'{"]," if after[0] else ""}"{table}":[')
            else:
                parts.append(",")
            parts.append(body)
            after = (table, position)
        yield "".join(parts).encode()
    yield b'%b},"nothingFound":%b}' % (b"]" if after[0] else b"", b"false" if after[0] else b"true")
