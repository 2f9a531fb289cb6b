"""Customers and their versions, changed with optimistic locking.

The invariant: version n + 1 of a customer is the row that was stored first among those that name version n + 1, and
each writer of n + 1 has read n. So the versions of a customer are ordered, each was decided on exactly the one before
it, and an attempt that came second has no effect and is decided again. Two concurrent changes of a customer both count,
one after the other; a caller that names the version it changes is refused if that is not the newest. For a change of
many customers this holds for each of them, not for all together: readers may see some of it first.
"""

from __future__ import annotations

import re
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
from rapport.storage.contention import ContestedWriteError, retry_contested
from rapport.storage.customer_reads import build_customer_parameters
from rapport.storage.state_gaps import announce_change

if TYPE_CHECKING:
    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store

MAX_CUSTOMERS: Final = 20_000
"""Customers in one change; ClickHouse would store more of them in several blocks, not atomically."""
FRAMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "queried_customers": {"tenant_id": pl.String, "customer_id": pl.String},
    "attempted_versions": {"customer_id": pl.String, "version": pl.UInt32},
}
"""Tables sent along with the queries."""
_LONG: Final = re.compile("[0-9]{19}")
"""Finds digits of a number that may be beyond 64 bits."""
_encode: Final = msgspec.json.Encoder(order="sorted").encode


CurrentCustomers = Mapping[str, Customer | None]
"""Newest versions by id, deleted customers included; None for ids that never existed."""
CustomerChange = Callable[[CurrentCustomers], Mapping[str, Attributes | None]]
"""Returns the new attributes of customers, given their newest versions; None deletes a customer.

An exception cancels the change.
"""


def load_customers(store: Store, tenant_id: str, customer_ids: Collection[str]) -> dict[str, Customer]:
    """Load the newest versions of customers, deleted ones included."""
    frame = build_customer_frame(CustomerKey(tenant_id, customer_id) for customer_id in customer_ids)
    found = store.select("customers/newest", frames={"queried_customers": frame})
    return {row["customer_id"]: _customer_from_row(row) for row in found.iter_rows(named=True)}


def find_customer(store: Store, tenant_id: str, customer_id: str) -> Customer | None:
    """Return the newest version of a customer; None if there is none or the customer was deleted."""
    found = load_customers(store, tenant_id, [customer_id]).get(customer_id)
    return None if found is None or found.is_deleted else found


def load_history(
    store: Store, tenant_id: str, customer_id: str, *, before_version: int = 0, limit: int = 100
) -> tuple[list[Customer], int]:
    """Load versions of one customer, the newest first, and the number of all versions.

    Args:
        store: The database.
        tenant_id: The tenant.
        customer_id: The customer.
        before_version: Only older versions; 0 for all.
        limit: Maximum number of versions.
    """
    key = {"tenant_id": tenant_id, "customer_id": customer_id}
    first = store.rows("customers/first_version", key)
    if not first:
        return [], 0
    page = {**key, "before_version": before_version or first[0]["versions"] + 1, "limit": limit}
    rows = store.rows("customers/history", page)
    extras = {"customer_id": customer_id, "created_at_ms": first[0]["created_at_ms"]}
    return [_customer_from_row({**row, **extras}) for row in rows], first[0]["versions"]


def load_snapshots(store: Store, keys: Sequence[CustomerKey]) -> list[CustomerSnapshot]:
    """Load the snapshots of customers that decisions read, in the order of the keys.

    Takes one query, or two where contact profiles name one of the customers.
    """
    if not keys:
        return []
    attributes: dict[CustomerKey, Attributes] = {}
    consents: dict[CustomerKey, dict[str, str]] = {}
    granted: dict[CustomerKey, dict[str, int]] = {}
    lifted: dict[CustomerKey, dict[tuple[str, str], int]] = {}
    with_profile: set[CustomerKey] = set()
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
            with_profile.add(key)
        elif value:
            attributes[key] = _decode_attributes(value)
    contact_keys = [key for key in dict.fromkeys(keys) if folded[key] in with_profile]
    objections = dict(zip(contact_keys, read_objections(store, contact_keys), strict=True)) if contact_keys else {}
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

    ``decide`` is called again for the customers that another writer has changed meanwhile, and for no others.

    Args:
        store: The database.
        tenant_id: The tenant.
        author: Recorded with the versions.
        customer_ids: All customers that the change may concern.
        decide: Returns the new attributes of the customers it is given. Those it leaves out, or unchanged, get no new
            version.

    Returns:
        The versions that were written, by customer.

    Raises:
        TransientStorageError: The database does not answer. The change may or may not have been made; making it again
            is safe.
        ValueError: The customers are too many.
    """
    if len(customer_ids) > MAX_CUSTOMERS:
        raise ValueError(f"{len(customer_ids)} customers at once are too many; {MAX_CUSTOMERS} are allowed")
    written: dict[str, int] = {}
    remaining = set(customer_ids)

    def change() -> dict[str, int]:
        nonlocal remaining
        before: CurrentCustomers = dict.fromkeys(remaining) | load_customers(store, tenant_id, remaining)
        wanted = {name: attributes for name, attributes in decide(before).items() if _differs(before[name], attributes)}
        attempts = {name: (current.version if (current := before[name]) else 0) + 1 for name in wanted}
        if not attempts:
            return written
        first = _append(store, tenant_id, author, wanted, attempts)
        written.update((name, attempts[name]) for name in first)
        remaining = attempts.keys() - first
        if remaining:
            raise ContestedWriteError(f"one of {len(remaining)} customers of {tenant_id}")
        return written

    return retry_contested(change)


def _append(
    store: Store,
    tenant_id: str,
    author: Author,
    wanted: Mapping[str, Attributes | None],
    versions: Mapping[str, int],
) -> set[str]:
    """Write versions; return the customers whose version was stored first, and so counts."""
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
    constants = {
        "tenant_id": tenant_id,
        "change_id": change_id,
        "changed_by": author.name,
        "request_id": author.request_id,
    }
    store.insert("customer_versions", frame.with_columns(**{name: pl.lit(value) for name, value in constants.items()}))
    announce_change(store, tenant_id, "customers", names)
    stored = store.select(
        "customers/stored_first",
        {"tenant_id": tenant_id},
        frames={"attempted_versions": frame["customer_id", "version"]},
    )
    return {name for name, counts in stored.iter_rows() if counts == change_id}


def _differs(before: Customer | None, wanted: Attributes | None) -> bool:
    """Return whether a version would hold anything new; true, 1 and 1.0 are equal in Python, but differ as JSON."""
    if before is None or before.is_deleted or wanted is None:
        return (before is None or before.is_deleted) != (wanted is None)
    return _encode(before.attributes) != _encode(wanted)


def build_customer_frame(keys: Iterable[CustomerKey]) -> pl.DataFrame:
    """Build the table ``queried_customers`` that is sent along with a query about some customers."""
    return pl.DataFrame(list(keys), schema=dict(FRAMES["queried_customers"]), orient="row")


def _decode_attributes(text: str) -> Attributes:
    """Decode attributes; whole numbers beyond 64 bits, which old versions may hold, become texts, as in ClickHouse."""
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
