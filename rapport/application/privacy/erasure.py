"""Erases customers: tombstone, wait, delete, verify; and writes it to the audit log without naming them."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import structlog

from rapport.domain.audit import AuditDraft, encode_canonical
from rapport.domain.customers.customer import CustomerKey
from rapport.storage.audit import append_audit
from rapport.storage.dsar import find_all_ids
from rapport.storage.erasure import WORKERS_KNOW_AFTER_S, Erasure, begin_erasure, finish_erasure, sweep
from rapport.storage.personal_data import ErasureScope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rapport.storage.database import Database
    from rapport.storage.receipts import Receipt

log = structlog.get_logger(__name__)


class CustomerEraser:
    """Erases customers, for good.

    Args:
        database: The database.
        remove_state: Removes the state of a customer that processes share.
        clock: Returns epoch milliseconds.
    """

    def __init__(
        self,
        database: Database,
        remove_state: Callable[[CustomerKey], Awaitable[None]],
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._remove_state = remove_state
        self._clock = clock

    async def erase(
        self,
        tenant_id: str,
        customer_ids: Sequence[str],
        requested_by: str,
        *,
        keep_request: str = "",
        trace_id: str = "",
    ) -> Receipt:
        """Erase customers who are one person, which takes some seconds: every worker must know of it first.

        Args:
            tenant_id: Tenant of the customers.
            customer_ids: Ids of the person; those that were merged with them go along, and every spelling of addresses.
            requested_by: The key, or the request, that it is done for.
            keep_request: The request about the person's data that is being answered; others go.
            trace_id: Of the HTTP request, for the audit log.

        Raises:
            StorageError: The database does not answer; a repetition, or the daily sweep, deletes the rest.
        """
        person = await self._database.call(find_all_ids, tenant_id, customer_ids)
        erased = ErasureScope(tenant_id, person, self._clock(), keep_request=keep_request)
        erasing = Erasure(erased, f"era-{uuid.uuid4().hex}", requested_by)
        await self._database.call(begin_erasure, erasing)
        await asyncio.sleep(WORKERS_KNOW_AFTER_S)
        keys = [CustomerKey(tenant_id, customer_id) for customer_id in person]
        await self._remove_states(keys)
        receipt = await self._database.call(finish_erasure, erasing, clock=self._clock)
        await self._remove_states(keys)  # requests may have read from the tables meanwhile
        draft = AuditDraft(
            at_ms=receipt.completed_at_ms,
            actor=requested_by,
            action="erase",
            entity_type="customer_erasure",
            entity_id=receipt.receipt_id,
            after=encode_canonical({"customerHashes": list(receipt.customer_hashes), "deleted": dict(receipt.deleted)}),
            request_id=trace_id,
        )
        await self._database.call(append_audit, tenant_id, [draft])
        return receipt

    async def _remove_states(self, keys: Sequence[CustomerKey]) -> None:
        for key in keys:
            await self._remove_state(key)


async def sweep_erased(database: Database) -> None:
    """Delete rows of erased customers that were written late, and complete erasures whose process died.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    late = await database.call(sweep)
    log.info("what was written late of erased customers is deleted", rows=sum(late.values()))
