"""Keys of reservations in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from rapport.state.shared_state import name_of_customer

if TYPE_CHECKING:
    from rapport.domain.customers.customer import CustomerKey
    from rapport.state.shared_state import SharedState


def make_lock_key(key: CustomerKey) -> str:
    """Return the key of the lock of a customer about whom a process decides."""
    return f"rapport:deciding:{name_of_customer(key.tenant_id, key.customer_id)}"


def make_reservations_key(key: CustomerKey) -> str:
    """Return the key of a customer's reservations."""
    return f"rapport:reservations:{name_of_customer(key.tenant_id, key.customer_id)}"


async def forget_reservations(shared: SharedState | None, key: CustomerKey) -> None:
    """Remove a customer's reservations; while Redis is away, they lapse by themselves.

    Args:
        shared: None where each process keeps its own reservations, and forgets them by itself.
        key: The customer.
    """
    if shared is None:
        return
    try:
        await shared.ask(lambda: shared.redis.delete(make_reservations_key(key)))
    except RedisError:
        return
