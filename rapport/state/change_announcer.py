"""Tells all processes, by way of Valkey, what has changed in the tables; for threads, as the storage calls it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from redis.exceptions import ReadOnlyError, RedisError

from rapport.state.customer_states import CHUNK, make_state_key
from rapport.state.shared_state import RETRY_AFTER_S, close_for_threads, connect_for_threads
from rapport.state.versions import RAISE_VERSION, make_versions_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from redis import Redis

    from rapport.domain.tenant_versions import VersionKind
    from rapport.settings import Secret

log = structlog.get_logger(__name__)


class ChangeAnnouncer:
    """Forgets customer states after the customers have been changed, and raises versions.

    Args:
        redis: The server.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._away_until = 0.0

    has_states = True

    def forget_states(self, tenant_id: str, customer_ids: Collection[str]) -> bool:
        """Forget the states of some customers; False if the server does not answer, or has not a moment ago."""
        if time.monotonic() < self._away_until:
            return False
        names = list({make_state_key(tenant_id, customer_id) for customer_id in customer_ids})
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for start in range(0, len(names), CHUNK):
                    for name in names[start : start + CHUNK]:
                        pipeline.unlink(name)
                    pipeline.execute()
        except (RedisError, OSError) as error:
            self._note_failure("customer states cannot be reached: all states of the tenant are forgotten", error)
            return False
        return True

    def raise_version(self, tenant_id: str, kind: VersionKind) -> int:
        """Raise a version after the change is stored; return it, or 0 if the server does not answer.

        Other processes then see the change once their caches have aged.
        """
        if time.monotonic() < self._away_until:
            return 0
        try:
            answer: Any = self._redis.eval(RAISE_VERSION, 1, make_versions_key(tenant_id), kind)
        except (RedisError, OSError) as error:
            self._note_failure("a change cannot be announced: other processes see it within seconds", error)
            return 0
        return int(answer)

    def close(self) -> None:
        """Close the connections."""
        close_for_threads(self._redis)

    def _note_failure(self, event: str, error: Exception) -> None:
        if isinstance(error, ReadOnlyError):
            self.close()  # it is a replica now: the next connection finds the primary
        self._away_until = time.monotonic() + RETRY_AFTER_S
        log.warning(event, error=str(error))


def make_change_announcer(url: Secret) -> ChangeAnnouncer | None:
    """Make the announcer of a process; None where there is no shared state.

    Raises:
        ValueError: The URL has none of the forms of :func:`rapport.state_url.parse_state_url`.
    """
    client = connect_for_threads(url)
    return None if client is None else ChangeAnnouncer(client)
