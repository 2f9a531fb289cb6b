"""Cache of API keys. A key that was looked up is valid for some seconds, unless its revocation is announced before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from api.runtime.refreshing_cache import RefreshingCache
from rapport.domain.api_keys import ApiKey, has_key_format, hash_key
from rapport.storage.api_keys import find_key, note_uses

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.runtime.versions import Versions
    from rapport.settings import ApiSettings
    from rapport.storage.database import Database

MAX_KNOWN: Final = 10_000
UNKNOWN_FOR_S: Final = 1.0
"""How long a key that does not exist is refused without asking again; a key just made works after it at the latest."""


class KeyCache:
    """Cache of API keys, which also records their use.

    Args:
        clock: Epoch seconds.
    """

    def __init__(
        self,
        database: Database,
        settings: ApiSettings,
        versions: Versions,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._pepper = settings.key_pepper.reveal()
        self._clock = clock
        # A revoked key must not outlive its time in the cache, neither for a moment nor while ClickHouse is away.
        self._known = RefreshingCache[str, ApiKey | None](
            "api keys",
            self._find,
            fresh_s=lambda key: UNKNOWN_FOR_S if key is None else settings.key_cache_s,
            stale_s=0.0,
            max_entries=MAX_KNOWN,
            keeps_last_known=False,
            version=lambda _hash, key: 0 if key is None else versions.of(key.tenant_id, "keys"),
            clock=clock,
        )
        self._uses: dict[str, int] = {}

    async def recognise(self, key: str) -> ApiKey | None:
        """Return the stored key, if it may be used now.

        Raises:
            StorageError: The key is not cached and ClickHouse does not answer.
        """
        if not self._pepper or not has_key_format(key):
            return None
        return await self.find(hash_key(key, self._pepper))

    async def find(self, key_hash: str) -> ApiKey | None:
        """Return the stored key with a hash, if it may be used now.

        Raises:
            StorageError: As :meth:`recognise`.
        """
        found = await self._known.get(key_hash)
        now_ms = int(self._clock() * 1000)
        if found is None or not found.is_valid(key_hash, now_ms):
            return None
        self._uses[found.key_id] = now_ms
        return found

    async def note_uses(self) -> None:
        """Write when keys were used since the last time.

        Raises:
            StorageError: ClickHouse does not answer; it is written the next time.
        """
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self._database.call(note_uses, uses)
        except BaseException:
            self._uses = {**uses, **self._uses}
            raise

    async def _find(self, key_hash: str, _before: ApiKey | None) -> ApiKey | None:
        return await self._database.call(find_key, key_hash)
