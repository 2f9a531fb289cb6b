"""Erasure: tombstones, and the customers that unusable messages name.

A tombstone holds no customer id, only a hash of it: whoever knows an id can check whether it was erased, and nobody can
list the ids. (Ids that can be guessed can be tried; the hash keeps the table from being read, not from being probed.)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from rapport.domain.addresses import fold_address
from rapport.domain.json_limits import decode_json

_PERSONAL: Final = ("attributes", "context")
_NAMES: Final = re.compile(rb'"(tenantId|customerId)"\s*:\s*("(?:[^"\\]|\\.)*")')
_CONTRACT: Final = ("type", "tenantId", "customerId", "outcome", "idempotencyKey", "recommendationId", "timestamp")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Latest erasure of a customer.

    Attributes:
        erased_at_ms: Broker time up to which the customer's events do not count, in any replay; epoch milliseconds.
        completed_at_ms: Time from which the tables provably hold nothing of the customer; None until then.
    """

    erased_at_ms: int
    completed_at_ms: int | None = None


def hash_customer(tenant_id: str, customer_id: str) -> str:
    """Hash tenant and customer with SHA-256, hexadecimal; ``sql/queries/privacy`` computes the same."""
    return hashlib.sha256(f"{tenant_id}\0{customer_id}".encode()).hexdigest()


def list_hashes(tenant_id: str, customer_id: str) -> tuple[str, ...]:
    """List the hashes under which a customer may have been erased: of the id, and of the folded address."""
    folded = fold_address(customer_id)
    own = hash_customer(tenant_id, customer_id)
    return (own,) if folded == customer_id else (own, hash_customer(tenant_id, folded))


def find_named_customers(key: bytes, value: bytes, tenants: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Find every customer that a message may be about, even if it is no JSON: (tenant, customer).

    Each customer id in the value is combined with each tenant id in it, and where there is none with all ``tenants``;
    the key is taken for ``tenant:customer``, or for the customer of any of them. A result may name no existing
    customer; it is only compared with hashes.

    Args:
        key: The message's key.
        value: Its value, or an item of it.
        tenants: Candidate tenants; customers of others are not named.
    """
    names: dict[bytes, set[str]] = {b"tenantId": set(), b"customerId": set()}
    for name, text in _NAMES.findall(value):
        try:
            names[name].add(msgspec.json.decode(text, type=str))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    known = frozenset(tenants)
    for customer_id in names[b"customerId"]:
        for tenant_id in known & names[b"tenantId"] if names[b"tenantId"] else known:
            yield tenant_id, customer_id
    text = key.decode("utf-8", "replace")
    for tenant_id in known:
        yield tenant_id, text.removeprefix(f"{tenant_id}:")


def list_spellings(customer_id: str) -> Sequence[str]:
    """List the spellings of a customer id in a message: plain, or escaped as JSON does it."""
    escaped = msgspec.json.encode(customer_id)[1:-1].decode()
    ascii_only = "".join(letter if letter.isascii() else _escape(letter) for letter in escaped)
    return sorted({customer_id, escaped, ascii_only})


def is_mentioned(customer_id: str, texts: Iterable[bytes]) -> bool:
    """Say whether any of some texts contains a customer id as a word of its own, plain or escaped as JSON does it."""
    words = b"|".join(re.escape(spelling.encode()) for spelling in list_spellings(customer_id))
    pattern = re.compile(rb"(?<![0-9A-Za-z_.@+-])(?:" + words + rb")(?!\.?[0-9A-Za-z_@+-])")
    return any(pattern.search(text) for text in texts)


def has_other_tenant(tenant_id: str, value: bytes) -> bool:
    """Say whether a message names tenants, and a given one is not among them."""
    named = {text for name, text in _NAMES.findall(value) if name == b"tenantId"}
    return bool(named) and msgspec.json.encode(tenant_id) not in named


def strip_free_form(value: bytes) -> bytes:
    """Reduce an unusable event, of a customer who objects to collection, to its identifying fields.

    Returns:
        The event's identifying fields as JSON; empty if it is no JSON object.
    """
    fields = decode_json(value)
    if not isinstance(fields, dict):
        return b""
    return msgspec.json.encode({name: fields[name] for name in _CONTRACT if name in fields})


def strip_attributes(decision: str) -> str:
    """Remove from a recorded decision the attributes that the request, or the tenant's tables, gave."""
    record = decode_json(decision.encode())
    if not isinstance(record, dict):
        return ""
    stripped = {name: value for name, value in record.items() if name not in _PERSONAL}
    if isinstance(stripped.get("customer"), dict):
        stripped["customer"] = {name: value for name, value in stripped["customer"].items() if name not in _PERSONAL}
    return msgspec.json.encode(stripped).decode()


def _escape(letter: str) -> str:
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
