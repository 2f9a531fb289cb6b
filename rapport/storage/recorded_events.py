"""Lookups of recorded events: by idempotency key, for many requests at once, and by id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xxhash import xxh3_64_intdigest

from rapport.storage.customer_reads import build_customer_parameters

if TYPE_CHECKING:
    from rapport.storage.client import Store


class EventKey(NamedTuple):
    """Idempotency key of a customer's event."""

    tenant_id: str
    customer_id: str
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An event that claimed an idempotency key.

    Attributes:
        payload_hash: Tells a repetition from another event with the same key.
        source: The log it is in.
        interaction_id: Empty while its batch is being written.
        received_at_ms: Time at which the broker received it, epoch milliseconds.
    """

    payload_hash: int
    source: str
    offset: int
    item: int
    interaction_id: str
    received_at_ms: int
    occurred_at_ms: int


_POSITION: Final = ("tenant_id", "customer_id", "source", "offset", "item")


def find_recorded_events(store: Store, keys: Sequence[EventKey], horizon_hours: int) -> list[RecordedEvent | None]:
    """Find the event that holds each key, in the order of the keys; None for a key not used within the horizon.

    Of several claims the accepted one holds the key; while none is accepted yet, the earliest.
    """
    hashes = [xxh3_64_intdigest(key.idempotency_key.encode()) for key in keys]
    claims = store.select(
        "respond/claims",
        {"tenants": sorted({key.tenant_id for key in keys}), "hashes": hashes, "horizon_hours": horizon_hours},
    )
    if claims.is_empty():
        return [None] * len(keys)
    wanted = {(key.tenant_id, key.customer_id, key_hash) for key, key_hash in zip(keys, hashes, strict=True)}
    rows = [row for row in claims.to_dicts() if (row["tenant_id"], row["customer_id"], row["key_hash"]) in wanted]
    accepted = _read_accepted(store, rows)
    found: dict[tuple[str, str, int], RecordedEvent] = {}
    for row in sorted(rows, key=lambda row: (row["received_at_ms"], row["source"], row["offset"], row["item"])):
        interaction_id, occurred_at_ms = accepted.get(_position(row), ("", 0))
        recorded = RecordedEvent(
            payload_hash=row["payload_hash"],
            source=row["source"],
            offset=row["offset"],
            item=row["item"],
            interaction_id=interaction_id,
            received_at_ms=row["received_at_ms"],
            occurred_at_ms=occurred_at_ms,
        )
        subject = (row["tenant_id"], row["customer_id"], row["key_hash"])
        if subject not in found or (interaction_id and not found[subject].interaction_id):
            found[subject] = recorded
    return [found.get((key.tenant_id, key.customer_id, key_hash)) for key, key_hash in zip(keys, hashes, strict=True)]


def find_interaction(store: Store, tenant_id: str, interaction_id: str) -> dict[str, Any] | None:
    """Return an interaction by its id (columns of ``sql/queries/respond/by_id.sql``); None if there is none."""
    rows = store.rows("respond/by_id", {"tenant_id": tenant_id, "id": interaction_id})
    return rows[0] if rows else None


def _read_accepted(store: Store, claims: Sequence[dict[str, Any]]) -> dict[tuple[Any, ...], tuple[str, int]]:
    if not claims:
        return {}
    parameters = {
        **build_customer_parameters([(claim["tenant_id"], claim["customer_id"]) for claim in claims]),
        "offsets": sorted({claim["offset"] for claim in claims}),
    }
    found = store.rows("respond/accepted", parameters)
    return {_position(row): (row["id"], row["occurred_at_ms"]) for row in found}


def _position(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _POSITION)
