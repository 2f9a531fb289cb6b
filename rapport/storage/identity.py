"""Identity resolution: links of identifiers and merges of customers, two append-only tables resolved at reading."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from rapport.domain.addresses import fold_address, is_address
from rapport.domain.placeholders import is_placeholder
from rapport.domain.profiles.identity import Merges, MergeStatement
from rapport.storage.contact_profiles import find_profiles_of_customers

if TYPE_CHECKING:
    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store

CUSTOMER_ID: Final = "customer_id"
"""Type of identifiers that are customer ids."""


class Identifier(NamedTuple):
    """An identifier of a person.

    Attributes:
        confidence: From 0 to 1, that it belongs to this person.
    """

    type: str
    value: str
    confidence: float


class MergeStamp(NamedTuple):
    """State of a tenant's merges: differs whenever they do."""

    statements: int
    newest_us: int


def read_merge_stamp(store: Store, tenant_id: str) -> MergeStamp:
    """Read the state of a tenant's merges."""
    return MergeStamp(**store.rows("identity/stamp", {"tenant_id": tenant_id})[0])


def read_merges(store: Store, tenant_id: str) -> Merges:
    """Read a tenant's merges, resolved."""
    rows = store.rows("identity/merges", {"tenant_id": tenant_id})
    return Merges.from_log(MergeStatement(**{**row, "is_undone": bool(row["is_undone"])}) for row in rows)


def read_aliases(store: Store, tenant_id: str) -> dict[str, list[str]]:
    """Read the canonical ids of merged customers as parameters of a query that counts people.

    Returns:
        ``aliases`` and, in the same order, ``canonical_ids``, for ``transform(customer_id, …, customer_id)``.
    """
    aliases = {"": "", **read_merges(store, tenant_id).aliases}  # transform needs at least one element
    return {"aliases": list(aliases), "canonical_ids": list(aliases.values())}


def append_statement(store: Store, tenant_id: str, statement: MergeStatement, author: Author) -> None:
    """Record a merge, or that a merge is undone."""
    row = {
        "tenant_id": tenant_id,
        "merge_id": statement.merge_id,
        "customer_ids": [statement.source_id, statement.target_id],
        "is_undone": statement.is_undone,
        "changed_by": author.name,
        "request_id": author.request_id,
    }
    try:
        store.insert("identity_merges", pl.DataFrame([row]))
    finally:  # an insert that has failed may have been made
        store.raise_version(tenant_id, "merges")


def append_links(
    store: Store, tenant_id: str, customer_id: str, identifiers: Sequence[Identifier], author: Author
) -> None:
    """Link identifiers to a customer; identifiers linked to another customer now belong to this one."""
    rows = [
        {
            "tenant_id": tenant_id,
            "identifier_type": one.type,
            "customer_ids": [one.value, customer_id],
            "confidence": one.confidence,
            "source": "api",
            "changed_by": author.name,
        }
        for one in identifiers
    ]
    store.insert("identity_links", pl.DataFrame(rows))


def resolve_identifier(store: Store, tenant_id: str, kind: str, value: str) -> str | None:
    """Return the customer of an identifier: by the latest link, else by contact profiles; None if there is neither.

    Of a contact profile with several contact ids, the first is returned.
    """
    if is_placeholder(value):
        return None
    linked = _find_link(store, tenant_id, kind, value)
    if linked is not None and not is_placeholder(linked):
        return str(linked)
    if kind not in ("email", "contact_id"):
        return None
    for found in find_profiles_of_customers(store, tenant_id, [value]):
        profile = found.profile
        named = profile.contact_ids if kind == "contact_id" else [profile.email]
        if fold_address(value) in map(fold_address, named):
            return next((one for one in profile.contact_ids if not is_placeholder(one)), value)
    return None


def _find_link(store: Store, tenant_id: str, kind: str, value: str) -> str | None:
    if is_address(value):
        parameters = {"tenant_id": tenant_id, "identifier_type": kind, "address": fold_address(value)}
        found = store.rows("identity/links_of_address", parameters)
        return str(found[0]["customer_id"]) if found else None
    rows = store.rows("identity/links", {"tenant_id": tenant_id, "names": [value]})
    return next((row["customer_id"] for row in rows if (row["type"], row["value"]) == (kind, value)), None)


def list_identifiers(store: Store, tenant_id: str, members: Collection[str]) -> list[Identifier]:
    """List all identifiers of a person: the customer ids, linked identifiers, and those in contact profiles."""
    found = [Identifier(CUSTOMER_ID, member, 1.0) for member in members]
    linked = store.rows("identity/links", {"tenant_id": tenant_id, "names": list(members)})
    found += [Identifier(**row) for row in linked if row.pop("customer_id") in members]
    profiles = [one.profile for one in find_profiles_of_customers(store, tenant_id, members)]
    found += [Identifier("email", one.email, 1.0) for one in profiles if one.email]
    found += [Identifier("contact_id", contact_id, 1.0) for one in profiles for contact_id in one.contact_ids]
    named: dict[tuple[str, str], Identifier] = {}
    for identifier in found:
        if identifier.type == CUSTOMER_ID or not is_placeholder(identifier.value):
            named.setdefault((identifier.type, fold_address(identifier.value)), identifier)
    return list(named.values())
