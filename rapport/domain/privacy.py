"""Who is erased, and who is named in bytes that could not be used.

A tombstone holds no customer id, only a hash of it: whoever knows an id can ask whether it was erased, and nobody can
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
    """The latest erasure of a customer.

    Attributes:
        erased_at_ms: What the broker received up to then does not count, in any replay; epoch milliseconds.
        completed_at_ms: Since when it is certain that the tables hold nothing of it; None while that is not so.
    """

    erased_at_ms: int
    completed_at_ms: int | None = None


def hash_customer(tenant_id: str, customer_id: str) -> str:
    """SHA-256 over tenant and customer, hexadecimal; ``sql/queries/privacy`` computes the same."""
    return hashlib.sha256(f"{tenant_id}\0{customer_id}".encode()).hexdigest()


def list_hashes(tenant_id: str, customer_id: str) -> tuple[str, ...]:
    """The hashes under which a customer may have been erased: as the id is, and an address as it is compared, too."""
    folded = fold_address(customer_id)
    own = hash_customer(tenant_id, customer_id)
    return (own,) if folded == customer_id else (own, hash_customer(tenant_id, folded))


def find_named_customers(key: bytes, value: bytes, tenants: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Every customer that a message may be about, also one that is no JSON: (tenant, customer).

    Each customer id in the value is taken with each tenant id in it, and where there is none with all ``tenants``; the
    key is taken for ``tenant:customer``, or for the customer of any of them. What comes of it may be
    nobody; it is compared with hashes.

    Args:
        key: The message's key.
        value: Its value, or an item of it.
        tenants: Those that come into question; customers of others are not named.
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
    """How a customer id may be written in a message: plain, or escaped as JSON does it."""
    escaped = msgspec.json.encode(customer_id)[1:-1].decode()
    ascii_only = "".join(letter if letter.isascii() else _escaped(letter) for letter in escaped)
    return sorted({customer_id, escaped, ascii_only})


def mentions(customer_id: str, texts: Iterable[bytes]) -> bool:
    """Whether any of some texts holds a customer id as a word of its own, plain or escaped as JSON does it."""
    words = b"|".join(re.escape(one.encode()) for one in list_spellings(customer_id))
    found = re.compile(rb"(?<![0-9A-Za-z_.@+-])(?:" + words + rb")(?!\.?[0-9A-Za-z_@+-])")
    return any(found.search(text) for text in texts)


def names_other_tenant(tenant_id: str, value: bytes) -> bool:
    """Whether a message names tenants, and a given one is not among them."""
    named = {text for name, text in _NAMES.findall(value) if name == b"tenantId"}
    return bool(named) and msgspec.json.encode(tenant_id) not in named


def strip_free_form(value: bytes) -> bytes:
    """What may be kept of an event that could not be used, of a customer about whom nothing may be collected.

    Returns:
        The event's identifying fields as JSON; nothing if it is no JSON object.
    """
    fields = decode_json(value)
    if not isinstance(fields, dict):
        return b""
    return msgspec.json.encode({name: fields[name] for name in _CONTRACT if name in fields})


def strip_attributes(decision: str) -> str:
    """A recorded decision without what the request, or the tenant's tables, said about the customer."""
    record = decode_json(decision.encode())
    if not isinstance(record, dict):
        return ""
    kept = {name: value for name, value in record.items() if name not in _PERSONAL}
    if isinstance(kept.get("customer"), dict):
        kept["customer"] = {name: value for name, value in kept["customer"].items() if name not in _PERSONAL}
    return msgspec.json.encode(kept).decode()


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
