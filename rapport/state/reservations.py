"""Keys of reservations in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.state.shared_state import name_of_customer

if TYPE_CHECKING:
    from rapport.domain.customers.customer import CustomerKey


def make_lock_key(key: CustomerKey) -> str:
    """Return the key of the lock of a customer about whom a process decides."""
    return f"rapport:deciding:{name_of_customer(key.tenant_id, key.customer_id)}"


def make_reservations_key(key: CustomerKey) -> str:
    """Return the key of a customer's reservations."""
    return f"rapport:reservations:{name_of_customer(key.tenant_id, key.customer_id)}"
