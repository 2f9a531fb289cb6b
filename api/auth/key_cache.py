"""Cache of API keys. A key that was looked up is valid for some seconds, so a revocation takes effect within them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from rapport.domain.api_keys import ApiKey, has_key_format, hash_key
from rapport.storage.api_keys import find_key, note_uses

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.runtime.database import Database
    from rapport.settings import ApiSettings

MAX_KNOWN: Final = 10_000
UNKNOWN_FOR_S: Final = 1.0
"""How long a key that does not exist is refused without asking again; a key just made works after it at the latest."""


class KeyCache:
    """Cache of API keys, which also records their use.

    Args:
        clock: Epoch seconds.
    """

    def __init__(self, database: Database, settings: ApiSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._pepper = settings.key_pepper.reveal()
        self._cache_s = settings.key_cache_s
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, ApiKey | None]] = OrderedDict()
        self._looking: dict[str, asyncio.Future[ApiKey | None]] = {}
        self._uses: dict[str, int] = {}

    async def recognise(self, key: str) -> ApiKey | None:
        """Return the stored key, if it may be used now.

        Raises:
            StorageError: The key is not cached and ClickHouse does not answer.
        """
        if not self._pepper or not has_key_format(key):
            return None
        key_hash = hash_key(key, self._pepper)
        found = await self._find(key_hash)
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

    async def _find(self, key_hash: str) -> ApiKey | None:
        known = self._known.get(key_hash)
        if known is not None:
            looked_up_at, key = known
            if self._clock() - looked_up_at < (self._cache_s if key else UNKNOWN_FOR_S):
                return key
        if (looking := self._looking.get(key_hash)) is None:
            looking = self._looking[key_hash] = asyncio.ensure_future(self._look_up(key_hash))
        return await asyncio.shield(looking)

    async def _look_up(self, key_hash: str) -> ApiKey | None:
        try:
            asked_at = self._clock()
            key = await self._database.call(find_key, key_hash)
        finally:
            self._looking.pop(key_hash, None)
        self._known[key_hash] = (asked_at, key)
        self._known.move_to_end(key_hash)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return key
