"""Keys of idempotency keys and their results in Redis: hashes, with all those of a customer on one node."""

from __future__ import annotations

import hashlib
from typing import Final

from rapport.domain.privacy import list_hashes

KEPT_S: Final = 3_600
"""Time to live of results and of erasures, seconds."""


def make_written_keys(tenant_id: str, customer_id: str, idempotency_key: str) -> list[str]:
    """Return the keys of the customer's erasure, see :func:`make_erasure_key`, and of an idempotency key's result."""
    customer = _hash(tenant_id, customer_id)
    hashed = hashlib.sha256(idempotency_key.encode()).hexdigest()
    return [_name_erasure(customer), f"rapport:written:{{{customer}}}:{hashed}"]


def make_erasure_key(tenant_id: str, customer_id: str) -> str:
    """Return the key of the erasure of a customer: results of before it do not count."""
    return _name_erasure(_hash(tenant_id, customer_id))


def _name_erasure(customer: str) -> str:
    return f"rapport:erased:{{{customer}}}"


def _hash(tenant_id: str, customer_id: str) -> str:
    return list_hashes(tenant_id, customer_id)[-1]  # one for all spellings of an address
