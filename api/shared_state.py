"""The Redis, or Valkey, in which several API processes keep what they must know of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis.asyncio import Redis

if TYPE_CHECKING:
    from rapport.settings import ApiSettings

TIMEOUT_S: Final = 0.5
"""A request waits no longer than that for it; what then happens, each user of it says."""


def connect_shared_state(settings: ApiSettings) -> Redis | None:
    """A client that connects when first used; None where each process keeps to itself."""
    if settings.shared_state == "memory":
        return None
    return Redis.from_url(settings.shared_state, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
