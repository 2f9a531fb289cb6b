"""Enrolments of customers in journeys, changed with optimistic locking.

The invariant: version n + 1 of an enrolment is the row that was stored first among those that name it, and each writer
of n + 1 has read n. So of two workers that advance an enrolment at the same time one succeeds, and the other's attempt
has no effect. Effects of a step outside this table are carried out by workers that have read the version at that step,
under a key made of enrolment, step and visit: if two workers do it, the stream counts it once. An erasure writes its
tombstone before it deletes, and a writer of a version reads tombstones afterwards: so whichever comes first, nothing
remains of an enrolment that began before the erasure.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import polars as pl

from rapport.domain.journeys.enrolment import Enrolment, EnrolmentStatus, decode_enrolment
from rapport.domain.journeys.entry import EntryEvent
from rapport.domain.privacy import hash_customer
from rapport.storage.tombstones import read_erasures

if TYPE_CHECKING:
    from rapport.storage.client import Store

_KEY: Final = dict.fromkeys(("tenant_id", "customer_id", "journey_id", "enrolment_id"), pl.String)
FRAMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "queried_enrolments": _KEY,
    "attempted_enrolments": {**_KEY, "version": pl.UInt32},
    "paused_journeys": {"tenant_id": pl.String, "journey_id": pl.String},
    "log_ranges": {"source": pl.String, "from_offset": pl.UInt64, "until_offset": pl.UInt64},
}
"""Tables sent along with the queries."""
_MILLIS: Final = pl.Datetime("ms", "UTC")
_TYPES: Final[Mapping[str, Any]] = {
    "version": pl.UInt32,
    "journey_version": pl.UInt32,
    "due_at": _MILLIS,
    "enrolled_at": _MILLIS,
    "ended_at": _MILLIS,
}


class TenantEnrolment(NamedTuple):
    """An enrolment and its tenant."""

    tenant_id: str
    enrolment: Enrolment

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Key in the table: tenant, customer, journey, enrolment."""
        one = self.enrolment
        return self.tenant_id, one.customer_id, one.journey_id, one.id


class OffsetRange(NamedTuple):
    """A range of a log: from an offset up to, but excluding, another."""

    source: str
    from_offset: int
    until_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJourney:
    """Newest version of a journey.

    Attributes:
        body: The definition as JSON.
        active_since_ms: Since when the journey has been active without a break; 0 if it is not active.
    """

    tenant_id: str
    journey_id: str
    version: int
    status: str
    is_deleted: bool
    body: str
    active_since_ms: int


class CustomerEnrolment(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolment as a customer's profile shows it.

    Attributes:
        current_step: Id of the current step; of an ended enrolment, of the last one.
        completed_at_ms: End of the enrolment, for whatever reason it ended.
    """

    enrolment_id: str
    journey_id: str
    journey_name: str
    status: EnrolmentStatus
    current_step: str
    enrolled_at_ms: int
    completed_at_ms: int | None


def load_journeys(store: Store) -> list[StoredJourney]:
    """Load every journey of active tenants, ended ones included."""
    return [
        StoredJourney(**{name: value for name, value in row.items() if name != "newest"})
        for row in store.rows("journeys/definitions")
    ]


def load_journey_body(store: Store, tenant_id: str, journey_id: str, version: int) -> str | None:
    """Load the definition of one version of a journey, as JSON."""
    parameters = {"tenant_id": tenant_id, "journey_id": journey_id, "version": version}
    rows = store.rows("journeys/definition", parameters)
    return rows[0]["body"] if rows else None


def append_enrolments(store: Store, states: Sequence[TenantEnrolment]) -> set[str]:
    """Write versions of enrolments; return the ids of the enrolments whose version counts.

    Versions of customers who have been erased meanwhile are removed, and do not count.

    Args:
        store: The database.
        states: Of different enrolments, each the version after the one that was read.
    """
    if not states:
        return set()
    change_id = uuid.uuid4().hex
    rows = [_to_row(one, change_id) for one in states]
    store.insert("journey_enrolment_versions", pl.DataFrame(rows, schema_overrides=_TYPES))
    tried = [(*one.key, one.enrolment.version) for one in states]
    stored = store.select(
        "journeys/stored_first", frames={"attempted_enrolments": _frame("attempted_enrolments", tried)}
    )
    return {one for one, counts in stored.iter_rows() if counts == change_id} - _remove_erased(store, states)


def _remove_erased(store: Store, states: Sequence[TenantEnrolment]) -> set[str]:
    """Remove enrolments of customers who were erased after these began; return the ids of the enrolments."""
    erasures = read_erasures(store, {(one.tenant_id, one.enrolment.customer_id) for one in states})
    gone = {
        one.enrolment.id
        for one in states
        if one.enrolment.enrolled_at_ms <= erasures.get((one.tenant_id, one.enrolment.customer_id), -1)
    }
    for (tenant_id, customer_id), at_ms in erasures.items() if gone else ():
        who = {"tenant_id": tenant_id, "customer_hash": hash_customer(tenant_id, customer_id)}
        store.command("journeys/remove_erased", {**who, "erased_at_ms": at_ms})
    return gone


def find_due(
    store: Store, tenants: Collection[str], paused: Collection[tuple[str, str]], now_ms: int, limit: int
) -> list[tuple[str, str, str, str]]:
    """Find due enrolments: tenants take turns, and within a tenant the longest waiting comes first.

    Args:
        store: The database.
        tenants: Tenants to search.
        paused: Tenant and journey of paused journeys, which are left out.
        now_ms: Epoch milliseconds.
        limit: Maximum number of enrolments.

    Returns:
        Tenant, customer, journey and id of each.
    """
    found = store.select(
        "journeys/due",
        {"tenants": sorted(tenants), "now": _format_time(now_ms), "limit": limit},
        frames={"paused_journeys": _frame("paused_journeys", paused)},
    )
    return list(found.iter_rows())


def load_enrolments(store: Store, keys: Collection[tuple[str, ...]]) -> list[TenantEnrolment]:
    """Load the newest versions of enrolments, by tenant, customer, journey and id; missing ones are left out."""
    if not keys:
        return []
    rows = store.select("journeys/states", frames={"queried_enrolments": _frame("queried_enrolments", keys)})
    found = (
        TenantEnrolment(row["tenant_id"], decode_enrolment(row["state"], row)) for row in rows.iter_rows(named=True)
    )
    by_key = {one.key: one for one in found}
    return [by_key[key] for key in keys if key in by_key]


def find_enrolment(store: Store, tenant_id: str, journey_id: str, enrolment: str) -> Enrolment | None:
    """Return an enrolment by its id, or None."""
    parameters = {"tenant_id": tenant_id, "journey_id": journey_id, "enrolment_id": enrolment}
    rows = store.rows("journeys/by_id", parameters)
    return decode_enrolment(rows[0]["state"], rows[0]) if rows else None


def count_active(store: Store, keys: Collection[tuple[str, ...]]) -> dict[tuple[str, str, str], int]:
    """Count active enrolments by tenant, customer and journey, for customers who were ever in the journey."""
    if not keys:
        return {}
    rows = store.select("journeys/open", frames={"queried_enrolments": _frame("queried_enrolments", keys)})
    return {(tenant, customer, journey): active for tenant, customer, journey, active in rows.iter_rows()}


def list_enrolments(
    store: Store,
    tenant_id: str,
    journey_id: str,
    *,
    limit: int,
    offset: int = 0,
    customer_id: str = "",
    status: str = "",
) -> tuple[list[Enrolment], int]:
    """Return one page of the enrolments in a journey, the latest first, and the number on all pages.

    Args:
        store: The database.
        tenant_id: The tenant.
        journey_id: The journey.
        limit: Enrolments per page.
        offset: Number of enrolments to skip.
        customer_id: Only enrolments of this customer, if given.
        status: Only enrolments with this status, if given.
    """
    parameters = {"tenant_id": tenant_id, "journey_id": journey_id, "customer_id": customer_id, "status": status}
    rows = store.rows("journeys/page", {**parameters, "limit": limit, "offset": offset})
    return [decode_enrolment(row["state"], row) for row in rows], rows[0]["total"] if rows else 0


def list_customer_enrolments(store: Store, tenant_id: str, customer_ids: Collection[str]) -> list[CustomerEnrolment]:
    """Return all enrolments of one customer, who may have several ids, the latest first."""
    rows = store.rows("journeys/of_customer", {"tenant_id": tenant_id, "customer_ids": list(customer_ids)})
    return [
        CustomerEnrolment(
            enrolment_id=row["enrolment_id"],
            journey_id=row["journey_id"],
            journey_name=row["journey_name"] or row["journey_id"],
            status=EnrolmentStatus(row["status"]),
            current_step=row["step"],
            enrolled_at_ms=row["enrolled_at_ms"],
            completed_at_ms=row["ended_at_ms"],
        )
        for row in rows
    ]


def read_journey_progress(store: Store, sources: Collection[str]) -> dict[str, int]:
    """Read up to which offset each log has been searched for entry events; logs never searched are left out."""
    return {row["source"]: row["next_offset"] for row in store.rows("journeys/progress", {"sources": list(sources)})}


def write_journey_progress(store: Store, reached: Mapping[str, int]) -> None:
    """Record up to which offset logs have been searched for entry events."""
    rows = {"source": list(reached), "next_offset": list(reached.values())}
    store.insert("journey_progress", pl.DataFrame(rows, schema={"source": pl.String, "next_offset": pl.UInt64}))


def read_entry_events(
    store: Store, ranges: Sequence[OffsetRange], tenants: Collection[str], outcomes: Collection[str], since_ms: int
) -> list[EntryEvent]:
    """Read events of some outcomes from ranges of logs, received since a time, in the order of each log."""
    rows = store.select(
        "journeys/entries",
        {"tenants": sorted(tenants), "outcomes": sorted(outcomes), "received_since": _format_time(since_ms)},
        frames={"log_ranges": _frame("log_ranges", ranges)},
    )
    return [entry_event_from_row(row) for row in rows.iter_rows(named=True)]


def entry_event_from_row(row: Mapping[str, Any]) -> EntryEvent:
    """Build an event from a row that has at least its columns."""
    value = row["conversion_value"]
    return EntryEvent(
        **{name: row[name] for name in EntryEvent.__dataclass_fields__ if name != "conversion_value"},
        conversion_value=None if value is None else float(value),
    )


def _to_row(one: TenantEnrolment, change_id: str) -> dict[str, Any]:
    state = one.enrolment
    return {
        "tenant_id": one.tenant_id,
        "customer_id": state.customer_id,
        "journey_id": state.journey_id,
        "enrolment_id": state.id,
        "version": state.version,
        "change_id": change_id,
        "journey_version": state.journey_version,
        "status": state.status.value,
        "step": state.step,
        "due_at": state.due_at_ms,
        "enrolled_at": state.enrolled_at_ms,
        "ended_at": state.ended_at_ms,
        "state": msgspec.json.encode(state).decode(),
    }


def _frame(name: str, rows: Iterable[Sequence[Any]]) -> pl.DataFrame:
    return pl.DataFrame([tuple(row) for row in rows], schema=dict(FRAMES[name]), orient="row")


def _format_time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
