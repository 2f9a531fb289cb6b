"""Consents: statements by purpose, of which the latest counts, in whatever order they arrive.

So importing old statements never overrides newer ones, importing them again changes nothing, and of two statements for
the same millisecond the stricter one counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec
import polars as pl

from rapport.domain.customers.customer import CustomerKey
from rapport.domain.profiles.consent import ConsentSource, ConsentStatement, ConsentStatus
from rapport.storage.customers import build_customer_frame
from rapport.storage.state_gaps import announce_change

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store

T = TypeVar("T", bound=msgspec.Struct)
_MILLIS: Final = pl.Datetime("ms", "UTC")


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """Current consent of a customer to one purpose.

    Attributes:
        stated_at_ms: Time of the statement that counts.
        granted_at_ms: Time of the latest grant, if any.
        revoked_at_ms: Time of the latest revocation, if any.
    """

    purpose: str
    status: ConsentStatus
    source: ConsentSource
    stated_at_ms: int
    granted_at_ms: int | None
    revoked_at_ms: int | None


class RecordedStatement(ConsentStatement, frozen=True, kw_only=True):
    """A consent statement as recorded."""

    changed_by: str
    stored_at_ms: int


class CustomerStatement(NamedTuple):
    """A customer's consent statement."""

    customer_id: str
    statement: ConsentStatement


def load_consents(store: Store, tenant_id: str, customer_ids: Collection[str]) -> dict[str, list[Consent]]:
    """Load current consents by customer, ordered by purpose; customers without statements are left out."""
    frame = build_customer_frame(CustomerKey(tenant_id, customer_id) for customer_id in customer_ids)
    consents: dict[str, list[Consent]] = {}
    for row in store.select("consents/states", frames={"queried_customers": frame}).iter_rows(named=True):
        consents.setdefault(row.pop("customer_id"), []).append(_struct_from_row(Consent, row))
    return consents


def load_statements(store: Store, tenant_id: str, customer_id: str, *, limit: int = 1_000) -> list[RecordedStatement]:
    """Load the statements of one customer, the latest first."""
    rows = store.rows("consents/history", {"tenant_id": tenant_id, "customer_id": customer_id, "limit": limit})
    return [_struct_from_row(RecordedStatement, row) for row in rows]


def record_consents(store: Store, tenant_id: str, author: Author, statements: Iterable[CustomerStatement]) -> None:
    """Record statements.

    Raises:
        TransientStorageError: The database does not answer. The statements may or may not be recorded; recording them
            again is safe.
    """
    rows = [
        {
            "customer_id": customer_id,
            "purpose": one.purpose,
            "stated_at": one.stated_at_ms,
            "status": one.status.value,
            "source": one.source.value,
            "tenant_id": tenant_id,
            "changed_by": author.name,
            "request_id": author.request_id,
        }
        for customer_id, one in statements
    ]
    store.insert("consent_log", pl.DataFrame(rows, schema_overrides={"stated_at": _MILLIS}))
    announce_change(store, tenant_id, "consents", {str(row["customer_id"]) for row in rows})


def _struct_from_row(struct: type[T], row: Mapping[str, Any]) -> T:
    return struct(**{**row, "status": ConsentStatus(row["status"]), "source": ConsentSource(row["source"])})
