"""Customers as stored: their versions, and the snapshot that a decision reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from rapport.domain.profiles.contact import NO_OBJECTIONS, ContactObjections
from rapport.domain.profiles.suppressions import NO_ENDINGS, SuppressionEndings

CustomerRef = tuple[str, str]
"""Tenant id and customer id."""
Attributes = Mapping[str, Any]


class CustomerKey(NamedTuple):
    """Identity of a customer: tenant id and customer id."""

    tenant_id: str
    customer_id: str


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a customer.

    Attributes:
        attributes: Value by name; empty if the version ended the customer.
        created_at_ms: Time of the first version, epoch milliseconds.
        updated_at_ms: Time of this version, epoch milliseconds.
    """

    customer_id: str
    version: int
    attributes: Attributes
    is_deleted: bool
    changed_by: str
    created_at_ms: int
    updated_at_ms: int


class CustomerSnapshot(NamedTuple):
    """Stored attributes, consent by purpose and contact objections of a customer.

    Attributes:
        attributes: None if nothing is stored.
        consents: Status by purpose, of the purposes that were ever stated.
        objections: Objections of the customer's contact profiles.
        endings: Consent and operators' lifts that end suppressions early.
    """

    attributes: Attributes | None
    consents: Mapping[str, str]
    objections: ContactObjections = NO_OBJECTIONS
    endings: SuppressionEndings = NO_ENDINGS
