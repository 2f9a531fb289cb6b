"""Filter of claimed idempotency keys: deduplication reads the exact claims of those few keys only that it contains.

The law: a key is passed over only if no other claim of it was visible when the batch's own claims had been written. A
worker that claims a key after that sees this batch's claim, so of two one always knows of the other. It rests on this:

1. Claims are written before they are looked for (:mod:`pipeline.prepare`). ClickHouse writes a row of ``recent_claims``
   with them, before the writer goes on.
2. A worker writes the claims of a message before it records progress beyond that message. So whoever knows a source's
   progress and then reads claims has all claims below it. What lies above may still come, so it is read each time:
   the rows of ``recent_claims`` whose last offset is not below the progress that was known before the reading before.
3. All that is read goes into the filter, the batch's own keys too. It may hold keys that nobody claims any more, which
   costs a look at the exact claims and decides nothing.
4. Rows of ``recent_claims`` live for two hours by the server's clock. A worker that has not read for one begins again
   with an empty filter: progress first, then the keys of all claims. So does one that does not find the row of the
   batch's own claims: it is behind the progress.

Keys are kept for two days longer than the horizon within which a repetition counts as one: so late may a batch be.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl
import structlog

from pipeline.key_filter import BITS_PER_KEY, KeyFilter
from rapport.storage.stream import read_claim_days, read_claim_progress, read_claimed_keys, read_recent_claims

if TYPE_CHECKING:
    from rapport.metrics import StreamMetrics
    from rapport.settings import WorkerSettings
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
LOAD_AGAIN_MS: Final = 3_600_000
"""Half of what rows of ``recent_claims`` live."""
LATE_HOURS: Final = 48
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
CHUNK_KEYS: Final = 2_000_000
"""Keys that are read at once."""


class _ClaimSnapshot(NamedTuple):
    """All claims that were visible at a time.

    Attributes:
        keys: Their keys.
        progress: Progress of each source before that time.
        at_ms: The time, by the server's clock, epoch milliseconds.
    """

    keys: KeyFilter
    progress: Mapping[str, int]
    at_ms: int


class ClaimedKeys:
    """The keys of all claims within the horizon, as a filter in memory; unless they would take too much of it."""

    def __init__(self, settings: WorkerSettings, store: Store, metrics: StreamMetrics) -> None:
        self._kept_hours = settings.dedup_horizon_hours + LATE_HOURS
        self._most_bytes = settings.claim_memory_mb * 1_000_000
        self._store = store
        self._metrics = metrics
        self._lock = threading.Lock()  # a batch whose claims have become old is claimed again beside the next one
        self._snapshot: _ClaimSnapshot | None = None
        self._is_too_large_until = -math.inf

    @property
    def _is_too_large(self) -> bool:
        return time.monotonic() < self._is_too_large_until

    def load(self) -> None:
        """Load the keys of all claims if none are known: before a batch is claimed, or all its keys were doubtful.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        with self._lock:
            if self._snapshot is None and not self._is_too_large:
                now_ms, progress = read_claim_progress(self._store)
                self._keep(self._load(now_ms), progress, now_ms)

    def select_doubtful(self, events: pl.DataFrame) -> pl.DataFrame:
        """Select the events whose key other events may have claimed. The events' own claims must have been written.

        Args:
            events: Decoded interactions.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        with self._lock:
            doubtful = events
            if not self._is_too_large:
                known = self._snapshot
                now_ms, progress = read_claim_progress(self._store)
                recent = None if known is None else read_recent_claims(self._store, known.progress)
                if (
                    known is None
                    or recent is None
                    or not known.at_ms <= _read_time(recent) < known.at_ms + LOAD_AGAIN_MS
                ):
                    self._keep(self._load(now_ms), progress, now_ms)
                else:
                    doubtful = _add_recent(known.keys, events, recent)
                    self._keep(known.keys, progress, _read_time(recent))
            self._metrics.doubtful_keys.inc(doubtful.height)
            return doubtful

    def _load(self, now_ms: int) -> KeyFilter | None:
        """Load the keys of all claims; None if they are too many."""
        keys = KeyFilter(self._kept_hours * HOUR_MS)
        claims = dict(read_claim_days(self._store, self._kept_hours).iter_rows())
        total = sum(claims.values())
        if total * BITS_PER_KEY // 8 > self._most_bytes:
            return None
        days = {day: keys.make_generation(number, (day + 1) * DAY_MS) for day, number in claims.items()}
        step = 2**64 // max(1, math.ceil(total / CHUNK_KEYS))
        for first in range(0, 2**64, step):
            last = min(first + step, 2**64) - 1
            read = read_claimed_keys(self._store, first, last, self._kept_hours)
            for (day,), claimed in read.partition_by("day", as_dict=True).items():
                hashes = claimed["key_hash"].to_numpy()
                if day in days:
                    days[day].add(hashes)
                else:  # a day that has begun meanwhile
                    keys.add(hashes, now_ms)
        return keys

    def _keep(self, keys: KeyFilter | None, progress: Mapping[str, int], at_ms: int) -> None:
        if keys is not None and keys.size_bytes <= self._most_bytes:
            self._snapshot = _ClaimSnapshot(keys, progress, at_ms)
            self._metrics.claim_filter_bytes.set(keys.size_bytes)
            return
        log.warning(
            "claimed keys need more memory than RAPPORT_WORKER_CLAIM_MEMORY_MB: every batch looks up all its keys"
        )
        self._snapshot = None
        self._is_too_large_until = time.monotonic() + LOAD_AGAIN_MS / 1000
        self._metrics.claim_filter_bytes.set(0)


def _read_time(recent: pl.DataFrame) -> int:
    """Return the server's time of a reading, which has at least the batch's own claims; 0 if it has not."""
    return 0 if recent.is_empty() else int(recent["now_ms"][0])


def _add_recent(keys: KeyFilter, events: pl.DataFrame, recent: pl.DataFrame) -> pl.DataFrame:
    """Add recent claims to the filter; return the events whose key is in it, or has another recent claim.

    The batch's own claims are no others, nor are those that another worker has written of later messages of a source.
    """
    starts = events.group_by("source").agg(batch_offset=pl.col("offset").min())
    claims = recent.join(starts, on="source", how="left").explode("key_hash")
    is_own = (pl.col("first_offset") >= pl.col("batch_offset")).fill_null(value=False)
    keys_of_batch = events.select("source", "key_hash")
    others = pl.concat(
        [
            claims.filter(~is_own)["key_hash"],
            claims.filter(is_own).join(keys_of_batch, on=["source", "key_hash"], how="anti")["key_hash"],
        ]
    )
    own, claimed = events["key_hash"].to_numpy(), claims["key_hash"].unique().to_numpy()
    is_doubtful = keys.find(own) | np.isin(own, others.to_numpy())
    keys.add(claimed[~keys.find(claimed)], _read_time(recent))
    return events.filter(pl.Series(is_doubtful))
