"""Newest versions of what this process keeps in memory of tenants, as far as it knows."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from rapport.domain.tenant_versions import VERSION_KINDS, VersionKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rapport.storage.client import Announcer

MAX_TENANTS: Final = 10_000


class Versions:
    """Newest versions that this process has seen; caches load anew what they have loaded under an older one.

    Each request sees those of its tenant in the call that counts it, and a change is announced before it is answered:
    so a request that begins after the answer, at any process, sees the change. While Valkey is away, or loses a
    version, other processes see it once their caches have aged; this process sees its own changes at once in any case.

    The announcer of an API process, for the threads of its database too.

    Args:
        announcer: Tells the other processes; None if there are none.
    """

    def __init__(self, announcer: Announcer | None) -> None:
        self._announcer = announcer
        self._of_tenants: LRUCache[tuple[str, VersionKind], int] = LRUCache(MAX_TENANTS * len(VERSION_KINDS))
        self._lock = threading.Lock()

    @property
    def has_states(self) -> bool:
        """See :class:`rapport.storage.client.Announcer`."""
        return self._announcer is not None and self._announcer.has_states

    def of(self, tenant_id: str, kind: VersionKind) -> int:
        """Return the newest version of a tenant; 0 before any is known."""
        with self._lock:
            return self._of_tenants.get((tenant_id, kind), 0)

    def observe(self, tenant_id: str, versions: Sequence[int]) -> None:
        """Note the versions of a tenant, in the order of the kinds; answers may overtake one another."""
        for kind, version in zip(VERSION_KINDS, versions, strict=True):
            if version:
                self._raise_to(tenant_id, kind, version)

    def forget_states(self, tenant_id: str, customer_ids: Collection[str]) -> bool:
        """See :class:`rapport.storage.client.Announcer`."""
        return self._announcer is not None and self._announcer.forget_states(tenant_id, customer_ids)

    def raise_version(self, tenant_id: str, kind: VersionKind) -> int:
        """Have every process see a change that has been stored."""
        self._raise_to(tenant_id, kind, self.of(tenant_id, kind) + 1)
        if self._announcer is not None:
            self._raise_to(tenant_id, kind, self._announcer.raise_version(tenant_id, kind))
        return self.of(tenant_id, kind)

    def _raise_to(self, tenant_id: str, kind: VersionKind, version: int) -> None:
        with self._lock:
            if version > self._of_tenants.get((tenant_id, kind), 0):
                self._of_tenants[tenant_id, kind] = version
