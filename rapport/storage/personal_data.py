"""Registry of personal data: every column that names customers, and the tables that hold them in other ways.

The columns are found in the database, not listed: a new table with a column ``customer_id`` is covered by erasures
without a change here.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from rapport.domain.placeholders import is_placeholder
from rapport.domain.privacy import find_named_customers, has_other_tenant, hash_customer, is_mentioned, list_spellings
from rapport.storage.reconcile import find_drift, frame_progress
from rapport.storage.table_names import name_view

if TYPE_CHECKING:
    from rapport.storage.client import Store

SUMMARIES: Final = "interaction_summary_state"
HISTORY: Final = "interaction_log"
_BROKER_TIME: Final = "received_at"
_OF_DECISIONS: Final = ("decision_places", "variant_assignment_log")
_PROFILES: Final = "contact_profile_versions"
_ESCAPE: Final = "\\u00"
"""JSON may write any letter as such an escape: dead letters with escapes are decoded, whatever they hold."""
_FOREVER_MS: Final = 4_102_444_800_000


@dataclass(frozen=True, slots=True)
class ErasureScope:
    """Ids of one person, and the time up to which their data is erased.

    Attributes:
        until_ms: Time of the erasure, epoch milliseconds; messages that the broker received later stay.
        only_old: Whether rows that did not come through the broker are erased up to ``until_ms`` only. While the
            erasure runs this is off: rows computed meanwhile may be derived from data that is being deleted.
        keep_request: Id of the request that asked for the erasure, which is deleted last.
    """

    tenant_id: str
    customer_ids: tuple[str, ...]
    until_ms: int
    only_old: bool = True
    keep_request: str = ""

    @property
    def hashes(self) -> list[str]:
        """Hashes of the customer ids."""
        return [hash_customer(self.tenant_id, customer_id) for customer_id in self.customer_ids]

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of a query about the customers."""
        return {"tenant_id": self.tenant_id, "customer_ids": list(self.customer_ids)}

    @property
    def frame(self) -> pl.DataFrame:
        """The customers as a table: tenant_id, customer_id."""
        rows = [(self.tenant_id, customer_id) for customer_id in self.customer_ids]
        return pl.DataFrame(rows, schema={"tenant_id": pl.String, "customer_id": pl.String}, orient="row")

    @property
    def hash_parameters(self) -> dict[str, Any]:
        """Parameters of a deletion, which names customers by their hashes only."""
        return {"tenant_id": self.tenant_id, "hashes": self.hashes}


class LocationKind(Enum):
    """Ways in which a location holds customers."""

    COLUMN = auto()
    ARRAY = auto()
    OF_DECISIONS = auto()
    SUMMARIES = auto()
    LETTERS = auto()
    REQUESTS = auto()


@dataclass(frozen=True, slots=True)
class Location:
    """A table, with the column that names customers.

    Attributes:
        since: Column with the time since when a row exists; empty if there is none.
    """

    table: str
    kind: LocationKind
    column: str = ""
    since: str = ""

    @property
    def shown(self) -> str:
        """Name for people: of the view that shows the table's rows, or of the table if there is no view."""
        return name_view(self.table)

    @property
    def has_broker_time(self) -> bool:
        """Whether rows have the time at which the broker received their message; erasures keep rows received later."""
        return self.since == _BROKER_TIME

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters that name the table and its columns."""
        return {"table": self.table, "column": self.column, **({"since": self.since} if self.since else {})}


def find_locations(store: Store) -> list[Location]:
    """Find every location, the history before the tables derived from it."""
    found = [
        Location(
            row["table"], _classify_table(row["table"], is_array=bool(row["is_array"])), row["column"], row["since"]
        )
        for row in store.rows("privacy/tables")
    ]
    found += [Location("dead_letter_state", LocationKind.LETTERS), Location("dsar_requests", LocationKind.REQUESTS)]
    return sorted(
        found,
        key=lambda location: (location.kind in (LocationKind.OF_DECISIONS, LocationKind.SUMMARIES), location.table),
    )


def count_rows(store: Store, location: Location, erased: ErasureScope) -> int:
    """Count the rows of a location that an erasure has to delete. Where rows have no time, all count."""
    erased = _narrow_to_linking_ids(location, erased)
    who, at = erased.parameters, {**location.parameters, "until_ms": _until_ms(location, erased)}
    if location.kind is LocationKind.LETTERS:
        return len(find_dead_letters(store, erased))
    if location.kind is LocationKind.SUMMARIES:
        return _count(store, "privacy/unsupported_summaries", who) + _drift(store, erased)
    if location.kind is LocationKind.REQUESTS:
        return _count(store, "privacy/count_requests", {**who, **at, "request_id": erased.keep_request})
    names = {
        LocationKind.OF_DECISIONS: "privacy/count_of_decisions",
        LocationKind.ARRAY: "privacy/count_in_arrays",
        LocationKind.COLUMN: "privacy/count_until" if location.since else "privacy/count",
    }
    return _count(store, names[location.kind], {**who, **at})


def count_summaries(store: Store, erased: ErasureScope) -> int:
    """Count all summary rows of the customers."""
    return _count(store, "privacy/count_summaries", erased.parameters)


def delete_rows(store: Store, location: Location, erased: ErasureScope) -> None:
    """Delete a location's rows, and wait for that; :mod:`rapport.storage.erasure` deletes summaries."""
    erased = _narrow_to_linking_ids(location, erased)
    until = {"until_ms": _until_ms(location, erased)}
    who, names = erased.hash_parameters, location.parameters
    if location.kind is LocationKind.LETTERS:
        letters = {"tenant_id": erased.tenant_id, "ids": find_dead_letters(store, erased)}
        store.command("privacy/delete_letters", letters)
    elif location.kind is LocationKind.REQUESTS:
        store.command("privacy/delete_requests", {**who, **until, "request_id": erased.keep_request})
    elif location.kind is LocationKind.OF_DECISIONS:
        store.command("privacy/delete_of_decisions", {**who, "table": location.table, "until_ms": erased.until_ms})
    elif location.table == _PROFILES:
        store.command("privacy/delete_profiles", {**who, **until})
    elif location.kind is LocationKind.ARRAY:
        store.command("privacy/delete_in_arrays", {**who, **names, **until})
    elif location.kind is LocationKind.COLUMN and location.since:
        store.command("privacy/delete_until", {**who, **names, **until})
    elif location.kind is LocationKind.COLUMN:
        store.command("privacy/delete", {**who, **names})


def find_dead_letters(store: Store, erased: ErasureScope) -> list[str]:
    """Find the dead letters that mention one of the customers as a word, unless they name another tenant as theirs."""
    needles = [_ESCAPE, *(spelling for customer_id in erased.customer_ids for spelling in list_spellings(customer_id))]
    customers = {(erased.tenant_id, customer_id) for customer_id in erased.customer_ids}
    parameters = {"tenant_id": erased.tenant_id, "until_ms": erased.until_ms, "needles": needles}
    found: list[str] = []
    for row in store.rows("privacy/letters", parameters):
        value = base64.b64decode(row["value_base64"])
        key = base64.b64decode(row["key_base64"])
        texts = (value, key, row["detail"].encode())
        if row["tenant_id"] == "" and has_other_tenant(erased.tenant_id, value):
            continue
        is_named = not customers.isdisjoint(find_named_customers(key, value, [erased.tenant_id]))
        if is_named or any(is_mentioned(customer_id, texts) for customer_id in select_linking_ids(erased.customer_ids)):
            found.append(row["id"])
    return found


def select_linking_ids(customer_ids: Sequence[str]) -> list[str]:
    """Return the ids by which rows with several ids belong to a person: all but placeholders, which people share."""
    return [customer_id for customer_id in customer_ids if not is_placeholder(customer_id)]


def _narrow_to_linking_ids(location: Location, erased: ErasureScope) -> ErasureScope:
    if location.kind is not LocationKind.ARRAY:
        return erased
    return replace(erased, customer_ids=tuple(select_linking_ids(erased.customer_ids)))


def _classify_table(table: str, *, is_array: bool) -> LocationKind:
    if table == SUMMARIES:
        return LocationKind.SUMMARIES
    if table in _OF_DECISIONS:
        return LocationKind.OF_DECISIONS
    return LocationKind.ARRAY if is_array else LocationKind.COLUMN


def _until_ms(location: Location, erased: ErasureScope) -> int:
    is_timed = location.has_broker_time or location.kind is LocationKind.OF_DECISIONS or erased.only_old
    return erased.until_ms if is_timed else _FOREVER_MS


def _drift(store: Store, erased: ErasureScope) -> int:
    return find_drift(store, erased.frame, frame_progress(store)).height


def _count(store: Store, name: str, parameters: dict[str, Any]) -> int:
    rows: Sequence[dict[str, Any]] = store.rows(name, parameters)
    return int(rows[0]["rows"])
