"""Requests of customers about their own data: kept until somebody has worked on them, and what is exported."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import polars as pl

from rapport.domain.addresses import fold_address, is_address
from rapport.domain.placeholders import is_placeholder
from rapport.storage.contact_profiles import profiles_of_customers
from rapport.storage.dead_letters import get_letters
from rapport.storage.erasure_places import Erased, Kind, find_letters, linking_ids, read_places
from rapport.storage.identity import read_merges

if TYPE_CHECKING:
    from rapport.storage.client import Store

MAX_ROWS: Final = 100_000
"""Of one table in one export."""
_TIMES: Final = ("requested_at", "taken_at", "completed_at")
_MILLIS: Final = pl.Datetime("ms", "UTC")
_FOREVER_MS: Final = 4_102_444_800_000

RequestType = Literal["export", "delete"]
SubjectType = Literal["customer_id", "email"]
Status = Literal["queued", "processing", "completed", "failed"]


class DsarRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One state of a request; times in epoch milliseconds.

    Attributes:
        subject_id: ``sha256:…`` once the subject was erased.
        attempts: How often a process has taken it up.
        taken_at_ms: When a process last did.
        result: JSON; left out of lists.
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
    """A tenant's requests, the newest first; one, with its result, if its id is given."""
    wanted = {"request_id": request_id, "status": status, "request_type": request_type, "limit": limit}
    return [DsarRequest(**row) for row in store.rows("dsar/requests", {"tenant_id": tenant_id, **wanted})]


def open_requests(store: Store, taken_before_ms: int) -> list[DsarRequest]:
    """Some requests of any tenant that wait, or that a process took up before a time and has not finished."""
    return [DsarRequest(**row) for row in store.rows("dsar/open", {"taken_before_ms": taken_before_ms})]


def forget_states(store: Store, request: DsarRequest) -> None:
    """Delete what a request said before its newest state."""
    names = {"tenant_id": request.tenant_id, "request_id": request.request_id, "revision": request.revision}
    store.command("dsar/delete_states", names)


def find_spellings(store: Store, tenant_id: str, customer_ids: Iterable[str]) -> tuple[str, ...]:
    """Find every way in which e-mail addresses among some ids are written in the tables, and how they are compared.

    Reads a column of every table that names customers: for erasures and exports.
    """
    addresses = sorted({fold_address(one) for one in customer_ids if is_address(one)})
    if not addresses:
        return ()
    found = dict.fromkeys(addresses)
    for place in read_places(store):
        if place.kind in (Kind.LETTERS, Kind.REQUESTS):
            continue
        name = "privacy/spellings_in_arrays" if place.kind is Kind.ARRAY else "privacy/spellings"
        asked = {"tenant_id": tenant_id, "addresses": addresses, "table": place.table, "column": place.column}
        found |= dict.fromkeys(row["customer_id"] for row in store.rows(name, asked))
    return tuple(found)


def person_of(store: Store, tenant_id: str, customer_ids: Sequence[str]) -> tuple[str, ...]:
    """Some customers with all ids of theirs: those that were merged, and addresses however they are written."""
    merges = read_merges(store, tenant_id)
    named = dict.fromkeys(member for one in customer_ids for member in merges.members(one))
    spelled = find_spellings(store, tenant_id, named)
    return tuple(named | dict.fromkeys(member for one in spelled for member in merges.members(one)))


def customers_with_email(store: Store, tenant_id: str, email: str) -> tuple[str, ...]:
    """The customers that contact profiles with an e-mail address speak for; the address itself may be one."""
    profiles = profiles_of_customers(store, tenant_id, [email])
    names = (name for one in profiles for name in one.profile.contact_ids if not is_placeholder(name))
    return tuple(dict.fromkeys([email, *names]))


def export_customers(store: Store, tenant_id: str, customer_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Everything that the tables hold of some customers who are one person: rows by table, where there are any."""
    who = {"tenant_id": tenant_id, "customer_ids": list(customer_ids), "limit": MAX_ROWS}
    exported: dict[str, list[dict[str, Any]]] = {}
    for place in read_places(store):
        if place.kind is Kind.REQUESTS:
            continue
        if place.kind is Kind.LETTERS:
            rows = _letters(store, Erased(tenant_id, tuple(customer_ids), _FOREVER_MS))
        else:
            name = "privacy/rows_in_arrays" if place.kind is Kind.ARRAY else "privacy/rows"
            own = {**who, "customer_ids": linking_ids(customer_ids)} if place.kind is Kind.ARRAY else who
            rows = store.rows(name, {**own, "table": place.table, "column": place.column})
        if rows:
            exported.setdefault(place.table, []).extend(rows)
    return exported


def encode_export(exported: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Write an export as JSON; decimals are texts, so that no digit is lost."""
    return msgspec.json.encode(exported, enc_hook=str, order="sorted").decode()


def _letters(store: Store, whose: Erased) -> list[dict[str, Any]]:
    letters = get_letters(store, find_letters(store, whose))
    return [
        {"id": one.id, "code": one.code, "detail": one.detail, "value": _text(one.value), "key": _text(one.key)}
        for one in letters
    ]


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode()
