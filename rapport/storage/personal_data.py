"""Where customers are: every table with a column that names them, and the few places that hold them otherwise.

Tables are found in the database, not listed: one that is added with a column ``customer_id`` is erased from by itself.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from rapport.domain.placeholders import is_placeholder
from rapport.domain.privacy import find_named_customers, hash_customer, list_spellings, mentions, names_other_tenant
from rapport.storage.reconcile import find_drift

if TYPE_CHECKING:
    from rapport.storage.client import Store

SUMMARIES: Final = "interaction_summary_state"
HISTORY: Final = "interactions"
_BROKER_TIME: Final = "received_at"
_OF_DECISIONS: Final = ("decision_places", "variant_assignments")
_PROFILES: Final = "contact_profile_versions"
_ESCAPE: Final = "\\u00"
"""JSON may write any letter like that: such letters are looked into, whatever they hold."""
_FOREVER_MS: Final = 4_102_444_800_000


@dataclass(frozen=True, slots=True)
class ErasureScope:
    """Customers who are one person, and up to when what is known of them goes.

    Attributes:
        until_ms: When they were erased, epoch milliseconds; what the broker received later is none of it.
        only_old: Whether that goes for rows that did not come through the broker, too. While somebody is being erased
            it does not: what is worked out meanwhile may be made of what is being deleted.
        keep_request: The request that asked for it, which goes last.
    """

    tenant_id: str
    customer_ids: tuple[str, ...]
    until_ms: int
    only_old: bool = True
    keep_request: str = ""

    @property
    def hashes(self) -> list[str]:
        """Of the customers."""
        return [hash_customer(self.tenant_id, customer_id) for customer_id in self.customer_ids]

    @property
    def who(self) -> dict[str, Any]:
        """The parameters of a query about them."""
        return {"tenant_id": self.tenant_id, "customer_ids": list(self.customer_ids)}

    @property
    def frame(self) -> pl.DataFrame:
        """The same as a table: tenant_id, customer_id."""
        rows = [(self.tenant_id, customer_id) for customer_id in self.customer_ids]
        return pl.DataFrame(rows, schema={"tenant_id": pl.String, "customer_id": pl.String}, orient="row")

    @property
    def hash_parameters(self) -> dict[str, Any]:
        """The parameters of a deletion, which name nobody."""
        return {"tenant_id": self.tenant_id, "hashes": self.hashes}


class LocationKind(Enum):
    """How customers are found in a place."""

    COLUMN = auto()
    ARRAY = auto()
    OF_DECISIONS = auto()
    SUMMARIES = auto()
    LETTERS = auto()
    REQUESTS = auto()


@dataclass(frozen=True, slots=True)
class Location:
    """A place where customers may be.

    Attributes:
        column: Names them.
        since: The column that says since when a row is there; empty if there is none.
    """

    table: str
    kind: LocationKind
    column: str = ""
    since: str = ""

    @property
    def has_broker_time(self) -> bool:
        """Whether rows say when the broker received what they are made of: what came later is none of an erasure's."""
        return self.since == _BROKER_TIME

    @property
    def names(self) -> dict[str, Any]:
        """The parameters that name the table and its columns."""
        return {"table": self.table, "column": self.column, **({"since": self.since} if self.since else {})}


def find_locations(store: Store) -> list[Location]:
    """Find every place, the history before what is made of it."""
    found = [
        Location(
            row["table"], _classify_table(row["table"], is_array=bool(row["is_array"])), row["column"], row["since"]
        )
        for row in store.rows("privacy/tables")
    ]
    found += [Location("dead_letters", LocationKind.LETTERS), Location("dsar_requests", LocationKind.REQUESTS)]
    return sorted(
        found, key=lambda place: (place.kind in (LocationKind.OF_DECISIONS, LocationKind.SUMMARIES), place.table)
    )


def count_rows(store: Store, place: Location, erased: ErasureScope) -> int:
    """Count the rows that name somebody of whom nothing may be left. Where nothing says when a row came, it counts."""
    erased = _narrow_to_linking_ids(place, erased)
    who, at = erased.who, {**place.names, "until_ms": _until_ms(place, erased)}
    if place.kind is LocationKind.LETTERS:
        return len(find_dead_letters(store, erased))
    if place.kind is LocationKind.SUMMARIES:
        return _count(store, "privacy/unsupported_summaries", who) + _drift(store, erased)
    if place.kind is LocationKind.REQUESTS:
        return _count(store, "privacy/count_requests", {**who, **at, "request_id": erased.keep_request})
    names = {
        LocationKind.OF_DECISIONS: "privacy/count_of_decisions",
        LocationKind.ARRAY: "privacy/count_in_arrays",
        LocationKind.COLUMN: "privacy/count_until" if place.since else "privacy/count",
    }
    return _count(store, names[place.kind], {**who, **at})


def count_summaries(store: Store, erased: ErasureScope) -> int:
    """Count all summary rows of customers."""
    return _count(store, "privacy/count_summaries", erased.who)


def delete_rows(store: Store, place: Location, erased: ErasureScope) -> None:
    """Delete them, and return when they are gone. Summaries are left to :mod:`rapport.storage.summary_erasure`."""
    erased = _narrow_to_linking_ids(place, erased)
    until = {"until_ms": _until_ms(place, erased)}
    who, names = erased.hash_parameters, place.names
    if place.kind is LocationKind.LETTERS:
        letters = {"tenant_id": erased.tenant_id, "ids": find_dead_letters(store, erased)}
        store.command("privacy/delete_letters", letters)
    elif place.kind is LocationKind.REQUESTS:
        store.command("privacy/delete_requests", {**who, **until, "request_id": erased.keep_request})
    elif place.kind is LocationKind.OF_DECISIONS:
        store.command("privacy/delete_of_decisions", {**who, "table": place.table, "until_ms": erased.until_ms})
    elif place.table == _PROFILES:
        store.command("privacy/delete_profiles", {**who, **until})
    elif place.kind is LocationKind.ARRAY:
        store.command("privacy/delete_in_arrays", {**who, **names, **until})
    elif place.kind is LocationKind.COLUMN and place.since:
        store.command("privacy/delete_until", {**who, **names, **until})
    elif place.kind is LocationKind.COLUMN:
        store.command("privacy/delete", {**who, **names})


def find_dead_letters(store: Store, erased: ErasureScope) -> list[str]:
    """The ids of the dead letters that mention one of the customers as a word, and no other tenant as theirs."""
    needles = [_ESCAPE, *(spelling for customer_id in erased.customer_ids for spelling in list_spellings(customer_id))]
    customers = {(erased.tenant_id, customer_id) for customer_id in erased.customer_ids}
    parameters = {"tenant_id": erased.tenant_id, "until_ms": erased.until_ms, "needles": needles}
    found: list[str] = []
    for row in store.rows("privacy/letters", parameters):
        value = base64.b64decode(row["value_base64"])
        key = base64.b64decode(row["key_base64"])
        texts = (value, key, row["detail"].encode())
        if row["tenant_id"] == "" and names_other_tenant(erased.tenant_id, value):
            continue
        is_named = not customers.isdisjoint(find_named_customers(key, value, [erased.tenant_id]))
        if is_named or any(mentions(customer_id, texts) for customer_id in select_linking_ids(erased.customer_ids)):
            found.append(row["id"])
    return found


def select_linking_ids(customer_ids: Sequence[str]) -> list[str]:
    """Return the ids by which a row that names several may be of a person: a placeholder says nothing of the others."""
    return [customer_id for customer_id in customer_ids if not is_placeholder(customer_id)]


def _narrow_to_linking_ids(place: Location, erased: ErasureScope) -> ErasureScope:
    if place.kind is not LocationKind.ARRAY:
        return erased
    return replace(erased, customer_ids=tuple(select_linking_ids(erased.customer_ids)))


def _classify_table(table: str, *, is_array: bool) -> LocationKind:
    if table == SUMMARIES:
        return LocationKind.SUMMARIES
    if table in _OF_DECISIONS:
        return LocationKind.OF_DECISIONS
    return LocationKind.ARRAY if is_array else LocationKind.COLUMN


def _until_ms(place: Location, erased: ErasureScope) -> int:
    is_timed = place.has_broker_time or place.kind is LocationKind.OF_DECISIONS or erased.only_old
    return erased.until_ms if is_timed else _FOREVER_MS


def _drift(store: Store, erased: ErasureScope) -> int:
    return find_drift(store, erased.frame, store.select("reconcile/progress")).height


def _count(store: Store, name: str, parameters: dict[str, Any]) -> int:
    rows: Sequence[dict[str, Any]] = store.rows(name, parameters)
    return int(rows[0]["rows"])
