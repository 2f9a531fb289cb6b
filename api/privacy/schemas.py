"""Erasures and requests of customers about their data, on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from api.http.bodies import Body
from api.http.times import iso, iso_or_none
from rapport.storage.dsar import DsarRequest, RequestType, Status, SubjectType
from rapport.storage.receipts import Receipt

CustomerId = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_DOCUMENTED: Final[Mapping[str, str]] = {
    "interactions": "interactionHistory",
    "interaction_summaries": "interactionSummary",
    "decisions": "decisionTrace",
    "variant_assignments": "variantAssignment",
    "identity_links": "identityLink",
    "journey_enrolments": "journeyEnrollment",
    "customers": "dynamicSchemaRows",
}
_ALWAYS: Final = (*_DOCUMENTED.values(), "suppression", "attributionResult")
"""Always there; suppressions and attributions are worked out from the history, so there are none to delete."""


class ErasureBody(Body, frozen=True, kw_only=True):
    """Customer to be erased."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"customerId": "customer-42"}

    customer_id: CustomerId


class ErasureView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of an erasure.

    Attributes:
        success: Whether nothing is left; if not, ask again.
        customer_id: As in the request; it is stored nowhere.
        receipt_id: Names the receipt, which can be read later.
        deleted_counts: Rows by documented name, and of each other table by its own.
        verified: Whether every table was searched afterwards and nothing was found.
        nothing_found: Whether no table held anything of the customer, so that nothing was deleted.
        erased_at: Events that Kafka received up to then do not count any more, in any replay.
    """

    success: bool
    customer_id: str
    receipt_id: str
    deleted_counts: Mapping[str, int]
    total_deleted: int
    nothing_found: bool
    verified: bool
    erased_at: str
    completed_at: str


class ReceiptView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The receipt of an erasure.

    Attributes:
        customer_hashes: SHA-256, hexadecimal, over tenant, a zero byte and customer id, of each who was erased.
        requested_by: The key, or the request, that it was done for.
    """

    receipt_id: str
    customer_hashes: Sequence[str]
    deleted_counts: Mapping[str, int]
    total_deleted: int
    nothing_found: bool
    verified: bool
    erased_at: str
    completed_at: str
    requested_by: str


class DsarBody(Body, frozen=True, kw_only=True):
    """Request of a customer.

    Attributes:
        request_type: A copy of the data, or its erasure.
        subject_id: The customer id, or the e-mail address of a contact profile.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]] = {
        "requestType": "export",
        "subjectId": "customer-42",
        "subjectType": "customer_id",
    }

    request_type: RequestType
    subject_id: CustomerId
    subject_type: SubjectType = "customer_id"


class QueuedView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request that waits."""

    request_id: str
    status: Status = "queued"


class DsarView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request.

    Attributes:
        subject_id: A hash once the subject was erased.
    """

    id: str
    tenant_id: str
    request_type: RequestType
    subject_id: str
    subject_type: SubjectType
    requested_by: str
    status: Status
    requested_at: str
    completed_at: str | None


class DsarDetail(DsarView, frozen=True, kw_only=True):
    """Request with its result.

    Attributes:
        result: Of an export, rows by table; of a deletion, its receipt; of one that failed, why. Null until then.
        nothing_found: Whether it is completed, and no table held anything of the subject: the id may be another one.
    """

    result: Mapping[str, Any] | None
    nothing_found: bool


class DsarList(msgspec.Struct, frozen=True, kw_only=True):
    """Requests, the newest first."""

    requests: Sequence[DsarView]
    count: int


def count_rows(deleted: Mapping[str, int]) -> dict[str, int]:
    """Rows by documented name, or by the table's name in camel case."""
    counts = dict.fromkeys(_ALWAYS, 0)
    for table, rows in deleted.items():
        name = _DOCUMENTED.get(table) or _camel(table)
        counts[name] = counts.get(name, 0) + rows
    return counts


def erasure_view(customer_id: str, receipt: Receipt) -> ErasureView:
    """Write an erasure as it is answered."""
    return ErasureView(
        success=receipt.is_verified,
        customer_id=customer_id,
        receipt_id=receipt.receipt_id,
        deleted_counts=count_rows(receipt.deleted),
        total_deleted=sum(receipt.deleted.values()),
        nothing_found=not receipt.deleted,
        verified=receipt.is_verified,
        erased_at=iso(receipt.erased_at_ms),
        completed_at=iso(receipt.completed_at_ms),
    )


def receipt_view(receipt: Receipt) -> ReceiptView:
    """Write a receipt as the API shows it."""
    return ReceiptView(
        receipt_id=receipt.receipt_id,
        customer_hashes=receipt.customer_hashes,
        deleted_counts=count_rows(receipt.deleted),
        total_deleted=sum(receipt.deleted.values()),
        nothing_found=not receipt.deleted,
        verified=receipt.is_verified,
        erased_at=iso(receipt.erased_at_ms),
        completed_at=iso(receipt.completed_at_ms),
        requested_by=receipt.requested_by,
    )


def dsar_view(request: DsarRequest) -> DsarView:
    """Write a request as lists show it."""
    return DsarView(**_fields(request))


def dsar_detail(request: DsarRequest, receipt: Receipt | None) -> DsarDetail:
    """Write a request by itself, with the receipt of a completed deletion."""
    if receipt is not None:
        shown = msgspec.to_builtins(receipt_view(receipt))
        return DsarDetail(**_fields(request), result=shown, nothing_found=not receipt.deleted)
    result = msgspec.json.decode(request.result, type=dict[str, Any]) if request.result else None
    return DsarDetail(**_fields(request), result=result, nothing_found=False)


def _fields(request: DsarRequest) -> dict[str, Any]:
    return {
        "id": request.request_id,
        "tenant_id": request.tenant_id,
        "request_type": request.request_type,
        "subject_id": request.subject_id,
        "subject_type": request.subject_type,
        "requested_by": request.requested_by,
        "status": request.status,
        "requested_at": iso(request.requested_at_ms),
        "completed_at": iso_or_none(request.completed_at_ms),
    }


def _camel(table: str) -> str:
    first, *others = table.split("_")
    return first + "".join(part.capitalize() for part in others)
