"""Records of consent: statements, of which the latest of each purpose counts, whatever the order in which they came.

So importing old statements never undoes newer ones, importing them again changes nothing, and of two that are written
for the same millisecond the stricter one counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec
import polars as pl

from rapport.domain.customers.customer import CustomerKey
from rapport.domain.profiles.consent import ConsentSource, ConsentStatement, ConsentStatus
from rapport.storage.customers import build_customer_frame

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store

T = TypeVar("T", bound=msgspec.Struct)
_MILLIS: Final = pl.Datetime("ms", "UTC")


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """What one customer says to one purpose now.

    Attributes:
        stated_at_ms: Since when.
        granted_at_ms: When it was last granted, if ever.
        revoked_at_ms: When it was last revoked, if ever.
    """

    purpose: str
    status: ConsentStatus
    source: ConsentSource
    stated_at_ms: int
    granted_at_ms: int | None
    revoked_at_ms: int | None


class RecordedStatement(ConsentStatement, frozen=True, kw_only=True):
    """A statement as it was recorded.

    Attributes:
        stored_at_ms: When.
    """

    changed_by: str
    stored_at_ms: int


class CustomerStatement(NamedTuple):
    """Whose statement it is."""

    customer_id: str
    statement: ConsentStatement


def load_consents(store: Store, tenant_id: str, customer_ids: Collection[str]) -> dict[str, list[Consent]]:
    """Load what customers say now, by purpose in alphabetical order; those of whom nothing is recorded are left out."""
    frame = build_customer_frame(CustomerKey(tenant_id, customer_id) for customer_id in customer_ids)
    consents: dict[str, list[Consent]] = {}
    for row in store.select("consents/states", frames={"asked_customers": frame}).iter_rows(named=True):
        consents.setdefault(row.pop("customer_id"), []).append(_struct_from_row(Consent, row))
    return consents


def load_statements(store: Store, tenant_id: str, customer_id: str, *, limit: int = 1_000) -> list[RecordedStatement]:
    """Load every statement of one customer, the latest first."""
    rows = store.rows("consents/history", {"tenant_id": tenant_id, "customer_id": customer_id, "limit": limit})
    return [_struct_from_row(RecordedStatement, row) for row in rows]


def record_consents(store: Store, tenant_id: str, author: Author, statements: Iterable[CustomerStatement]) -> None:
    """Record statements.

    Raises:
        TransientStorageError: The database does not answer. It is not known then whether they are recorded; recording
            them again does no harm.
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
    store.insert("consents", pl.DataFrame(rows, schema_overrides={"stated_at": _MILLIS}))


def _struct_from_row(struct: type[T], row: Mapping[str, Any]) -> T:
    return struct(**{**row, "status": ConsentStatus(row["status"]), "source": ConsentSource(row["source"])})
