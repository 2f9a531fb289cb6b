"""Customers on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from api.http.bodies import Body, JsonBody, decode_body, require_media_type
from api.http.cursors import Pagination
from api.http.times import iso
from rapport.domain.customers.customer import Customer
from rapport.domain.faults import Fault


class CustomerBody(Body, frozen=True, kw_only=True):
    """Attributes of a customer, or changes of them.

    Attributes:
        attributes: Value by name; null takes one away. Members beside it are attributes, too.
        version: The one that the change builds upon, 0 for a new customer; 409 if it is not the newest.
    """

    UNKNOWN_FIELDS_GO_TO: ClassVar[str] = "attributes"

    attributes: Mapping[str, Any] = {}
    version: Annotated[int, msgspec.Meta(ge=0)] | None = None


class CustomerPatch(JsonBody[CustomerBody]):
    """A body that is sent as a JSON merge patch, or as plain JSON."""

    def decode_bytes(self, value: bytes) -> CustomerBody:
        """Read a body.

        Raises:
            ApiError: 415 for another media type, 400 with every fault.
        """
        given = self.asgi_connection.headers.get("content-type", "application/json")
        require_media_type(given, "application/json", "application/merge-patch+json")
        return decode_body(value, CustomerBody)


class CustomerView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One version of a customer.

    Attributes:
        attributes: Value by name.
        version: Ascends with every change.
        changed_by: The key or the command that made this version.
        created_at: When the first version was made.
        updated_at: When this one was.
        is_deleted: Whether this version ended the customer.
    """

    customer_id: str
    tenant_id: str
    attributes: Mapping[str, Any]
    version: int
    changed_by: str
    created_at: str
    updated_at: str
    is_deleted: bool


class CustomerPage(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of a customer, the newest first."""

    data: Sequence[CustomerView]
    pagination: Pagination


class UpsertedView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of storing rows of customers.

    Attributes:
        received: Number of rows in the body.
        created: Customers who are new.
        changed: Customers who are otherwise now.
        unchanged: Customers of whom the rows say nothing new.
        rejected: Rows that are wrong; ``errors`` says why, with the index of each.
    """

    received: int
    created: int
    changed: int
    unchanged: int
    rejected: int
    errors: Sequence[Fault]


EXAMPLE: Final[Mapping[str, object]] = {
    "customerId": "CUST001",
    "tenantId": "t_001",
    "attributes": {"first_name": "Ann", "tier": "gold", "timeZone": "Europe/Berlin"},
    "version": 1,
    "changedBy": "key key_2f6c1b1e0d9a4c77",
    "createdAt": "2026-03-15T14:30:00.000Z",
    "updatedAt": "2026-03-15T14:30:00.000Z",
    "isDeleted": False,
}
PAGE_EXAMPLE: Final[Mapping[str, object]] = {
    "data": [EXAMPLE],
    "pagination": {"total": 1, "limit": 50, "hasMore": False, "nextCursor": None, "cursor": None},
}
UPSERTED_EXAMPLE: Final[Mapping[str, object]] = {
    "received": 3,
    "created": 1,
    "changed": 1,
    "unchanged": 0,
    "rejected": 1,
    "errors": [{"field": "age", "message": "must be a number", "index": 2}],
}


def build_view(tenant_id: str, customer: Customer) -> CustomerView:
    """Write a customer as the API shows it."""
    return CustomerView(
        customer_id=customer.customer_id,
        tenant_id=tenant_id,
        attributes=customer.attributes,
        version=customer.version,
        changed_by=customer.changed_by,
        created_at=iso(customer.created_at_ms),
        updated_at=iso(customer.updated_at_ms),
        is_deleted=customer.is_deleted,
    )
