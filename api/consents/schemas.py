"""Consent on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from api.http.bodies import Body
from api.http.times import iso, iso_or_none
from rapport.domain.faults import Fault
from rapport.domain.profiles.consent import PURPOSES, ConsentSource, ConsentStatus
from rapport.storage.consents import Consent, RecordedStatement

MAX_STATEMENTS: Final = 100
PURPOSE_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$"
Purpose = Annotated[
    str,
    msgspec.Meta(
        pattern=PURPOSE_PATTERN,
        description=f"{', '.join(PURPOSES)} count; others are kept and change nothing.",
    ),
]
Moment = Annotated[str | int, msgspec.Meta(description="ISO 8601 or epoch milliseconds; not in the future.")]
CustomerId = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class StatementBody(Body, frozen=True, kw_only=True):
    """Statement of a customer about one purpose.

    Attributes:
        stated_at: Since when; now if not given.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {"grantedAt": "statedAt", "revokedAt": "statedAt", "stated_at": "statedAt"}

    purpose: Purpose
    status: ConsentStatus
    source: ConsentSource | None = None
    stated_at: Moment | None = None


class RowBody(StatementBody, frozen=True, kw_only=True):
    """Statement of one of many customers.

    Attributes:
        customer_id: Of the statement.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {**StatementBody.ALIASES, "customer_id": "customerId"}

    customer_id: CustomerId


class ConsentsBody(Body, frozen=True, kw_only=True):
    """Statements of a customer; purposes that are not named stay as they are."""

    consents: Annotated[Sequence[StatementBody], msgspec.Meta(min_length=1, max_length=MAX_STATEMENTS)]


class ConsentView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Statement of a customer about one purpose that counts now.

    Attributes:
        stated_at: Since when.
        granted_at: When it was last granted, if ever.
        revoked_at: When it was last revoked, if ever.
    """

    purpose: str
    status: ConsentStatus
    source: ConsentSource
    stated_at: str
    granted_at: str | None
    revoked_at: str | None


class ConsentsView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Consents of a customer, and the contact that they allow.

    Attributes:
        consents: Recorded statements.
        allowed: Whether contact is allowed, by purpose; each channel needs marketing and the purpose of its own.
        based_on: What decides: records; the customer's attributes, because there are no records; or nothing but the
            tenant's setting.
    """

    customer_id: str
    consents: Sequence[ConsentView]
    allowed: Mapping[str, bool]
    based_on: Literal["records", "attributes", "setting"]


class StatementView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A statement as it was recorded."""

    purpose: str
    status: ConsentStatus
    source: ConsentSource
    stated_at: str
    recorded_at: str
    changed_by: str


class StatementsView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Every statement of a customer, the latest first."""

    customer_id: str
    statements: Sequence[StatementView]


class ImportedView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of importing statements.

    Attributes:
        recorded: Number of statements.
        rejected: Those that are wrong; ``errors`` says why, with the index of each.
    """

    recorded: int
    rejected: int
    errors: Sequence[Fault]


EXAMPLE: Final[Mapping[str, object]] = {
    "customerId": "CUST001",
    "consents": [
        {
            "purpose": "email",
            "status": "granted",
            "source": "api",
            "statedAt": "2026-03-15T14:30:00.000Z",
            "grantedAt": "2026-03-15T14:30:00.000Z",
            "revokedAt": None,
        }
    ],
    "allowed": {"marketing": True, "email": True, "sms": True, "push": True, "phone": True, "third_party": True},
    "basedOn": "records",
}
HISTORY_EXAMPLE: Final[Mapping[str, object]] = {
    "customerId": "CUST001",
    "statements": [
        {
            "purpose": "email",
            "status": "granted",
            "source": "api",
            "statedAt": "2026-03-15T14:30:00.000Z",
            "recordedAt": "2026-03-15T14:30:00.000Z",
            "changedBy": "key key_2f6c1b1e0d9a4c77",
        }
    ],
}
IMPORTED_EXAMPLE: Final[Mapping[str, object]] = {
    "recorded": 2,
    "rejected": 1,
    "errors": [{"field": "status", "message": "Invalid enum value 'yes'", "index": 1}],
}


def build_view(consent: Consent) -> ConsentView:
    """Write a consent as the API shows it."""
    return ConsentView(
        purpose=consent.purpose,
        status=consent.status,
        source=consent.source,
        stated_at=iso(consent.stated_at_ms),
        granted_at=iso_or_none(consent.granted_at_ms),
        revoked_at=iso_or_none(consent.revoked_at_ms),
    )


def statement_view(one: RecordedStatement) -> StatementView:
    """Write a statement as the API shows it."""
    return StatementView(
        purpose=one.purpose,
        status=one.status,
        source=one.source,
        stated_at=iso(one.stated_at_ms),
        recorded_at=iso(one.stored_at_ms),
        changed_by=one.changed_by,
    )
