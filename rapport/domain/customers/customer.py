"""Customers as they are stored: versions, and the snapshot that a decision reads."""

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
    """Whose customer, and which."""

    tenant_id: str
    customer_id: str


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a customer.

    Attributes:
        attributes: Value by name; empty if the version ended the customer.
        created_at_ms: When the first version was made.
        updated_at_ms: When this one was.
    """

    customer_id: str
    version: int
    attributes: Attributes
    is_deleted: bool
    changed_by: str
    created_at_ms: int
    updated_at_ms: int


class CustomerSnapshot(NamedTuple):
    """What is kept of a customer whom a decision is about.

    Attributes:
        attributes: None if nothing is kept.
        consents: Status by purpose, of those that were ever stated.
        objections: What contact profiles say against addressing the customer.
        endings: What ends the customer's suppressions besides time.
    """

    attributes: Attributes | None
    consents: Mapping[str, str]
    objections: ContactObjections = NO_OBJECTIONS
    endings: SuppressionEndings = NO_ENDINGS
