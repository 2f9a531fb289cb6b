"""Data subject requests (DSAR), stored until they are completed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import polars as pl

from rapport.domain.addresses import fold_address, is_address
from rapport.domain.placeholders import is_placeholder
from rapport.storage.contact_profiles import find_profiles_of_customers
from rapport.storage.identity import read_merges
from rapport.storage.personal_data import LocationKind, find_locations

if TYPE_CHECKING:
    from rapport.storage.client import Store

_TIMES: Final = ("requested_at", "taken_at", "completed_at")
_MILLIS: Final = pl.Datetime("ms", "UTC")

RequestType = Literal["export", "delete"]
SubjectType = Literal["customer_id", "email"]
Status = Literal["queued", "processing", "completed", "failed"]


class DsarRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One state of a request; times in epoch milliseconds.

    Attributes:
        subject_id: ``sha256:…`` once the subject was erased.
        attempts: Number of times a process has taken up the request.
        taken_at_ms: Time of the latest attempt.
        result: JSON; left out of lists. Empty for a completed export, whose rows are in ``dsar_exports``.
        revision: Ascends with every state.
    """

    tenant_id: str
    request_id: str
    request_type: RequestType
    subject_id: str
    subject_type: SubjectType
    requested_by: str
    requested_at_ms: int
    status: Status = "queued"
    attempts: int = 0
    taken_at_ms: int | None = None
    completed_at_ms: int | None = None
    result: str = ""
    revision: int = 1


def write_request(store: Store, request: DsarRequest) -> None:
    """Write a state of a request."""
    row = msgspec.structs.asdict(request)
    for name in _TIMES:
        row[name] = row.pop(f"{name}_ms")
    types: dict[str, Any] = {**dict.fromkeys(_TIMES, _MILLIS), "attempts": pl.UInt32, "revision": pl.UInt32}
    store.insert("dsar_requests", pl.DataFrame([row], schema_overrides=types))


def list_requests(
    store: Store,
    tenant_id: str,
    *,
    request_id: str = "",
    status: str = "",
    request_type: str = "",
    limit: int = 50,
) -> list[DsarRequest]:
    """Return a tenant's requests, the newest first; with ``request_id`` only that one, with its result."""
    wanted = {"request_id": request_id, "status": status, "request_type": request_type, "limit": limit}
    return [DsarRequest(**row) for row in store.rows("dsar/requests", {"tenant_id": tenant_id, **wanted})]


def list_open_requests(store: Store, now_ms: int, taken_for_ms: int) -> list[DsarRequest]:
    """Return the oldest request of each tenant that waits, or that a process took up so long ago without finishing."""
    parameters = {"now_ms": now_ms, "taken_for_ms": taken_for_ms}
    return [DsarRequest(**row) for row in store.rows("dsar/open", parameters)]


def delete_earlier_states(store: Store, request: DsarRequest) -> None:
    """Delete the states of a request before the newest."""
    names = {"tenant_id": request.tenant_id, "request_id": request.request_id, "revision": request.revision}
    store.command("dsar/delete_states", names)


def find_spellings(store: Store, tenant_id: str, customer_ids: Iterable[str]) -> tuple[str, ...]:
    """Find all spellings of e-mail addresses among some ids that occur in the tables, and their folded forms.

    Reads a column of every table that names customers: for erasures and exports.
    """
    addresses = sorted({fold_address(one) for one in customer_ids if is_address(one)})
    if not addresses:
        return ()
    found = dict.fromkeys(addresses)
    for location in find_locations(store):
        if location.kind in (LocationKind.LETTERS, LocationKind.REQUESTS):
            continue
        name = "privacy/spellings_in_arrays" if location.kind is LocationKind.ARRAY else "privacy/spellings"
        parameters = {
            "tenant_id": tenant_id,
            "addresses": addresses,
            "table": location.table,
            "column": location.column,
        }
        found |= dict.fromkeys(row["customer_id"] for row in store.rows(name, parameters))
    return tuple(found)


def find_all_ids(store: Store, tenant_id: str, customer_ids: Sequence[str]) -> tuple[str, ...]:
    """Return all ids of some customers: merged ones, and all spellings of addresses."""
    merges = read_merges(store, tenant_id)
    named = dict.fromkeys(member for one in customer_ids for member in merges.members(one))
    spelled = find_spellings(store, tenant_id, named)
    return tuple(named | dict.fromkeys(member for one in spelled for member in merges.members(one)))


def find_customers_with_email(store: Store, tenant_id: str, email: str) -> tuple[str, ...]:
    """Return the customers of contact profiles with an e-mail address, and the address, which may be an id itself."""
    profiles = find_profiles_of_customers(store, tenant_id, [email])
    names = (name for one in profiles for name in one.profile.contact_ids if not is_placeholder(name))
    return tuple(dict.fromkeys([email, *names]))
