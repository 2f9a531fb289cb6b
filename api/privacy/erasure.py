"""Erasures that the API does on request, and their receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.trace_id import current_trace_id
from rapport.storage.receipts import find_receipt

if TYPE_CHECKING:
    from rapport.application.privacy.erasure import CustomerEraser
    from rapport.storage.database import Database
    from rapport.storage.receipts import Receipt


class ErasureService:
    """Erasures of customers, for good."""

    def __init__(self, database: Database, eraser: CustomerEraser) -> None:
        self._database = database
        self._eraser = eraser

    async def find_receipt(self, tenant_id: str, receipt_id: str) -> Receipt | None:
        """Load the receipt of an erasure; None if there is none."""
        return await self._database.call(find_receipt, tenant_id, receipt_id)

    async def erase(self, tenant_id: str, customer_id: str, requested_by: str) -> Receipt:
        """Erase a customer; see :meth:`rapport.application.privacy.erasure.CustomerEraser.erase`."""
        return await self._eraser.erase(tenant_id, (customer_id,), requested_by, trace_id=current_trace_id())
