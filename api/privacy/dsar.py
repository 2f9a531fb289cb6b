"""Takes requests of customers about their data, and shows what they came to; ``rapport jobs`` works on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from api.privacy.exports import stream_export
from rapport.storage.dsar import DsarRequest, list_requests, write_request
from rapport.storage.receipts import find_receipt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from api.http.times import Clock
    from rapport.storage.database import Database
    from rapport.storage.receipts import Receipt


class _ReceiptReference(msgspec.Struct, rename="camel"):
    """Result of a completed deletion, as it is stored."""

    receipt_id: str


class DsarService:
    """Requests of customers about their data."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self.clock = clock

    async def hand_in(self, request: DsarRequest) -> None:
        """Write a request; it is worked on soon."""
        await self._database.call(write_request, request)

    async def find(self, tenant_id: str, request_id: str) -> DsarRequest | None:
        """Load a request; None if there is none."""
        found = await self._database.call(list_requests, tenant_id, request_id=request_id, limit=1)
        return found[0] if found and request_id else None

    async def find_receipt(self, request: DsarRequest) -> Receipt | None:
        """Load the receipt of a completed deletion; None for any other request."""
        if request.request_type != "delete" or request.status != "completed":
            return None
        reference = msgspec.json.decode(request.result, type=_ReceiptReference)
        return await self._database.call(find_receipt, request.tenant_id, reference.receipt_id)

    async def list_all(self, tenant_id: str, *, status: str, request_type: str, limit: int) -> Sequence[DsarRequest]:
        """List requests, the newest first; an empty status or type stands for any."""
        return await self._database.call(
            list_requests, tenant_id, status=status, request_type=request_type, limit=limit
        )

    def stream_export(self, request: DsarRequest) -> AsyncIterator[bytes]:
        """Write a completed export; see :func:`api.privacy.exports.stream_export`."""
        return stream_export(self._database, request)
