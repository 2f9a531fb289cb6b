"""Works on requests of customers about their data, one after the other.

A request is in the database before it is acknowledged. Whoever works on one says so there; a process that dies is not
heard of any more, and the request is taken up again after :data:`TAKEN_FOR_S`. One that failed is taken up again after
a while, the longer the more often it has: others do not wait for it. Two processes that take one up at the same moment
do the same work twice, which does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from rapport.domain.privacy import hash_customer
from rapport.jobs import run_for_each
from rapport.storage.dsar import (
    DsarRequest,
    delete_earlier_states,
    find_all_ids,
    find_customers_with_email,
    list_open_requests,
    write_request,
)
from rapport.storage.dsar_exports import IncompleteExportError, write_export

if TYPE_CHECKING:
    from collections.abc import Callable

    from rapport.application.privacy.erasure import CustomerEraser
    from rapport.storage.database import Database

log = structlog.get_logger(__name__)
TAKEN_FOR_S: Final = 300.0
"""Longer than a request takes; who has taken one up before that is taken for dead."""
MAX_ATTEMPTS: Final = 5


class DataRequestWorker:
    """Works on requests.

    Args:
        database: The database.
        eraser: Does the deletions.
        clock: Returns epoch milliseconds.
    """

    def __init__(self, database: Database, eraser: CustomerEraser, clock: Callable[[], int]) -> None:
        self._database = database
        self._eraser = eraser
        self._clock = clock

    async def work_on_requests(self) -> None:
        """Work on open requests: on one of each tenant, and again, until none is open.

        Raises:
            StorageError: The database does not answer.
            PartialFailureError: It did not for some of the requests.
        """
        while waiting := await self._database.call(list_open_requests, self._clock(), int(TAKEN_FOR_S * 1000)):
            await run_for_each(waiting, self._work_on)

    async def _work_on(self, request: DsarRequest) -> None:
        taken = msgspec.structs.replace(
            request,
            status="processing",
            attempts=request.attempts + 1,
            taken_at_ms=self._clock(),
            revision=request.revision + 1,
        )
        await self._database.call(write_request, taken)
        try:
            done = await (self._export(taken) if taken.request_type == "export" else self._delete(taken))
        except Exception as error:  # whatever it is, the next request must not wait for it
            log.warning("a request about a customer's data failed", request_id=taken.request_id, exc_info=error)
            done = _fail(taken, str(error) if isinstance(error, IncompleteExportError) else "")
        await self._database.call(write_request, done)
        if done.status == "completed" and taken.request_type == "delete":
            await self._database.call(delete_earlier_states, done)
        log.info("request about a customer's data", request_id=done.request_id, status=done.status)

    async def _find_subjects(self, request: DsarRequest) -> tuple[str, ...]:
        """Find the customers whom a request is about, with all who were merged with them."""
        named: tuple[str, ...] = (request.subject_id,)
        if request.subject_type == "email":
            named = await self._database.call(find_customers_with_email, request.tenant_id, request.subject_id)
        return await self._database.call(find_all_ids, request.tenant_id, named)

    async def _export(self, request: DsarRequest) -> DsarRequest:
        customers = await self._find_subjects(request)
        rows = await self._database.call(write_export, request, customers)
        log.info("export of a customer's data", request_id=request.request_id, rows=sum(rows.values()))
        return _advance(request, status="completed", result="", completed_at_ms=self._clock())

    async def _delete(self, request: DsarRequest) -> DsarRequest:
        customers = await self._find_subjects(request)
        receipt = await self._eraser.erase(
            request.tenant_id, customers, request.request_id, keep_request=request.request_id
        )
        if not receipt.is_verified:
            return _fail(request)
        return _advance(
            request,
            status="completed",
            subject_id=f"sha256:{hash_customer(request.tenant_id, request.subject_id)}",
            result=msgspec.json.encode({"receiptId": receipt.receipt_id}).decode(),
            completed_at_ms=receipt.completed_at_ms,
        )


def _fail(request: DsarRequest, why: str = "") -> DsarRequest:
    """Return the state after a failed attempt, with its reason, whether it is tried again or not."""
    reason = {"reason": f"{why} It is tried again.".lstrip()}
    if request.attempts < MAX_ATTEMPTS:
        return _advance(request, status="queued", result=msgspec.json.encode(reason).decode())
    reason = {"reason": f"{why} It was tried several times; the logs of rapport jobs say more. Ask again.".lstrip()}
    return _advance(request, status="failed", result=msgspec.json.encode(reason).decode())


def _advance(request: DsarRequest, **changes: object) -> DsarRequest:
    return msgspec.structs.replace(request, revision=request.revision + 1, **changes)
