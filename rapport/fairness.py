"""Fair scheduling: tenants take turns, and failing work backs off."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import chain, zip_longest
from typing import Final, Generic, TypeVar

from cachetools import FIFOCache

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
_NOTHING: Final = object()


def take_turns(items: Iterable[T], tenant_of: Callable[[T], Hashable]) -> Iterator[T]:
    """Order items so that tenants take turns; those of one tenant keep their order."""
    of_tenant: dict[Hashable, list[T]] = {}
    for item in items:
        of_tenant.setdefault(tenant_of(item), []).append(item)
    turns = zip_longest(*of_tenant.values(), fillvalue=_NOTHING)
    return (item for item in chain.from_iterable(turns) if item is not _NOTHING)  # type: ignore[misc]


class Backoff(Generic[K]):
    """Exponential backoff by key.

    Args:
        first_s: Pause after the first failure; it doubles with each further one in a row.
        longest_s: Longest pause.
        most: Most keys remembered; beyond, those that failed the longest ago are forgotten.
        clock: Returns seconds; monotonic.
    """

    def __init__(
        self,
        *,
        first_s: float,
        longest_s: float,
        most: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._clock = clock
        self._failures: FIFOCache[K, tuple[int, float]] = FIFOCache(most)

    def is_due(self, key: K) -> bool:
        """Say whether a key may be tried now."""
        return not self.remaining_s(key)

    def remaining_s(self, key: K) -> float:
        """Return the rest of the key's pause; 0 if it may be tried now."""
        _, until_s = self._failures.get(key, (0, -float("inf")))
        return max(until_s - self._clock(), 0.0)

    def note_failure(self, key: K) -> None:
        """Lengthen the key's pause and start it."""
        failures = self._failures.get(key, (0, 0.0))[0] + 1
        pause_s = min(self._first_s * 2.0 ** min(failures - 1, 30), self._longest_s)
        self._failures[key] = failures, self._clock() + pause_s

    def note_success(self, key: K) -> None:
        """Forget the key's failures."""
        self._failures.pop(key, None)
