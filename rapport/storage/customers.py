"""Customers and their versions.

The invariant: version n + 1 of a customer is the row that was stored first among those that name version n + 1, and
whoever writes n + 1 has read n. So the versions of a customer have one order, each was decided on exactly the one
before it, and an attempt that came second is as if it had never been: it is decided anew. Of two that change a customer
at the same time both count, one after the other; who says which version the change is about is refused if it is not the
newest. A change of many customers holds this for each of them, not for all together: readers may see some of it first.
"""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import polars as pl

from rapport.domain.addresses import fold_address
from rapport.domain.customers.customer import Attributes, Customer, CustomerKey, CustomerSnapshot
from rapport.domain.json_limits import decode_stored_object
from rapport.domain.numbers import write_long_numbers_as_texts
from rapport.domain.profiles.consent import ConsentStatus
from rapport.domain.profiles.contact import NO_OBJECTIONS
from rapport.domain.profiles.suppressions import SuppressionEndings
from rapport.storage.contact_profiles import read_objections
from rapport.storage.customer_reads import build_customer_parameters
from rapport.storage.errors import TransientStorageError

if TYPE_CHECKING:
    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store

MAX_ATTEMPTS: Final = 100
MAX_CUSTOMERS: Final = 20_000
"""Customers of one change; the engine stores more of them in several steps."""
FRAMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "asked_customers": {"tenant_id": pl.String, "customer_id": pl.String},
    "tried_versions": {"customer_id": pl.String, "version": pl.UInt32},
}
"""The tables sent along with the queries."""
_LONG: Final = re.compile("[0-9]{19}")
"""In a number that may be beyond 64 bits."""
_encode: Final = msgspec.json.Encoder(order="sorted").encode


CurrentCustomers = Mapping[str, Customer | None]
"""Customers as they are, or were before they ended; None for those that never were."""
CustomerChange = Callable[[CurrentCustomers], Mapping[str, Attributes | None]]
"""What customers are to become, given what they are: their attributes, or None to end them. Whatever it raises ends the
change."""


def load_customers(store: Store, tenant_id: str, customer_ids: Collection[str]) -> dict[str, Customer]:
    """Load the newest versions of customers; those that ended, too."""
    frame = build_customer_frame(CustomerKey(tenant_id, customer_id) for customer_id in customer_ids)
    found = store.select("customers/newest", frames={"asked_customers": frame})
    return {row["customer_id"]: _customer_from_row(row) for row in found.iter_rows(named=True)}


def find_customer(store: Store, tenant_id: str, customer_id: str) -> Customer | None:
    """Find a customer who has not ended."""
    found = load_customers(store, tenant_id, [customer_id]).get(customer_id)
    return None if found is None or found.is_deleted else found


def load_history(
    store: Store, tenant_id: str, customer_id: str, *, before_version: int = 0, limit: int = 100
) -> tuple[list[Customer], int]:
    """Load versions of one customer, the newest first, and say how many there are in all.

    Args:
        store: Where.
        tenant_id: Whose.
        customer_id: Which.
        before_version: Only older ones; 0 for all.
        limit: How many at most.
    """
    who = {"tenant_id": tenant_id, "customer_id": customer_id}
    first = store.rows("customers/first_stored", who)
    if not first:
        return [], 0
    page = {**who, "before_version": before_version or first[0]["versions"] + 1, "limit": limit}
    rows = store.rows("customers/history", page)
    extras = {"customer_id": customer_id, "created_at_ms": first[0]["created_at_ms"]}
    return [_customer_from_row({**row, **extras}) for row in rows], first[0]["versions"]


def load_snapshots(store: Store, keys: Sequence[CustomerKey]) -> list[CustomerSnapshot]:
    """Load what decisions must know of customers, each in its place: one query for all, two where profiles name one."""
    if not keys:
        return []
    attributes: dict[CustomerKey, Attributes] = {}
    consents: dict[CustomerKey, dict[str, str]] = {}
    granted: dict[CustomerKey, dict[str, int]] = {}
    lifted: dict[CustomerKey, dict[tuple[str, str], int]] = {}
    named: set[CustomerKey] = set()
    folded = {key: CustomerKey(key.tenant_id, fold_address(key.customer_id)) for key in keys}
    parameters = {**build_customer_parameters(keys), "folded": sorted({key.customer_id for key in folded.values()})}
    for tenant_id, customer_id, about, purpose, at_ms, value in store.select(
        "customers/with_consents", parameters
    ).iter_rows():
        key = CustomerKey(tenant_id, customer_id)
        if about == "consent":
            consents.setdefault(key, {})[purpose] = value
            if value == ConsentStatus.GRANTED:
                granted.setdefault(key, {})[purpose] = at_ms
        elif about == "lift":
            lifted.setdefault(key, {})[value, purpose] = at_ms
        elif about == "contact profile":
            named.add(key)
        elif value:
            attributes[key] = _decode_attributes(value)
    asked = [key for key in dict.fromkeys(keys) if folded[key] in named]
    objections = dict(zip(asked, read_objections(store, asked), strict=True)) if asked else {}
    return [
        CustomerSnapshot(
            attributes.get(key),
            consents.get(key, {}),
            objections.get(key, NO_OBJECTIONS),
            SuppressionEndings(granted_ms=granted.get(key, {}), lifted_ms=lifted.get(key, {})),
        )
        for key in keys
    ]


def change_customers(
    store: Store, tenant_id: str, author: Author, customer_ids: Collection[str], decide: CustomerChange
) -> dict[str, int]:
    """Change customers.

    ``decide`` is called again for those whom somebody else has changed meanwhile, and for no others.

    Args:
        store: Where.
        tenant_id: Whose.
        author: Who changes.
        customer_ids: All whom the change may concern.
        decide: What those that it is given are to become. Those it leaves out, or as they are, get no new version.

    Returns:
        The versions that were made, by customer.

    Raises:
        TransientStorageError: The database does not answer. It is not known then whether the change took place; the
            same change again does no harm.
        ValueError: The customers are too many.
    """
    if len(customer_ids) > MAX_CUSTOMERS:
        raise ValueError(f"{len(customer_ids)} customers at once are too many; {MAX_CUSTOMERS} are allowed")
    made: dict[str, int] = {}
    left = set(customer_ids)
    for attempt in range(MAX_ATTEMPTS):
        before: CurrentCustomers = dict.fromkeys(left) | load_customers(store, tenant_id, left)
        wanted = {name: to_be for name, to_be in decide(before).items() if _differs(before[name], to_be)}
        tried = {name: (known.version if (known := before[name]) else 0) + 1 for name in wanted}
        if not tried:
            return made
        won = _append(store, tenant_id, author, wanted, tried)
        made |= {name: tried[name] for name in won}
        left = tried.keys() - won
        if not left:
            return made
        time.sleep(random.random() * 0.005 * min(attempt + 1, 10))  # noqa: S311 - so that rivals do not keep step
    raise TransientStorageError(f"customers of {tenant_id} were changed by others {MAX_ATTEMPTS} times in a row")


def _append(
    store: Store,
    tenant_id: str,
    author: Author,
    wanted: Mapping[str, Attributes | None],
    versions: Mapping[str, int],
) -> set[str]:
    """Write versions; those customers whose version counts."""
    change_id, names = uuid.uuid4().hex, list(wanted)
    frame = pl.DataFrame(
        {
            "customer_id": names,
            "version": [versions[name] for name in names],
            "attributes": [_encode(wanted[name] or {}).decode() for name in names],
            "is_deleted": [wanted[name] is None for name in names],
        },
        schema_overrides={"version": pl.UInt32},
    )
    same = {
        "tenant_id": tenant_id,
        "change_id": change_id,
        "changed_by": author.name,
        "request_id": author.request_id,
    }
    store.insert("customer_versions", frame.with_columns(**{name: pl.lit(value) for name, value in same.items()}))
    stored = store.select(
        "customers/winners", {"tenant_id": tenant_id}, frames={"tried_versions": frame["customer_id", "version"]}
    )
    return {name for name, counts in stored.iter_rows() if counts == change_id}


def _differs(before: Customer | None, wanted: Attributes | None) -> bool:
    """Whether a version would say anything new; as Python values true, 1 and 1.0 are equal, as JSON they are not."""
    if before is None or before.is_deleted or wanted is None:
        return (before is None or before.is_deleted) != (wanted is None)
    return _encode(before.attributes) != _encode(wanted)


def build_customer_frame(keys: Iterable[CustomerKey]) -> pl.DataFrame:
    """The customers that a query is about, to be sent along with it as ``asked_customers``."""
    return pl.DataFrame(list(keys), schema=dict(FRAMES["asked_customers"]), orient="row")


def _decode_attributes(text: str) -> Attributes:
    """Read attributes; whole numbers beyond 64 bits, which were stored once, are texts, as ClickHouse reads them."""
    attributes: Attributes = decode_stored_object(text)
    return cast("Attributes", write_long_numbers_as_texts(attributes)) if _LONG.search(text) else attributes


def _customer_from_row(row: Mapping[str, Any]) -> Customer:
    return Customer(
        customer_id=row["customer_id"],
        version=row["version"],
        attributes=_decode_attributes(row["attributes"]),
        is_deleted=bool(row["is_deleted"]),
        changed_by=row["changed_by"],
        created_at_ms=row["created_at_ms"],
        updated_at_ms=row["updated_at_ms"],
    )
