"""Counts of the open blocks so far, in memory.

The invariant: what is kept of a source is what the messages of its open block count up to the position that it is kept
for, as the history has them. It is a copy, so it may be forgotten at any time and is read from the history again:

* **A start, or another owner in between**: the position is not the one that is kept.
* **A crash or a failed write**: the history may have messages from the position on; they are left out when it is read.
* **An erasure**: tombstones have changed, so everything is forgotten; until the erasure has settled, its customers are
  read from the history with every batch (:mod:`pipeline.privacy`).
* **A repair** has rewritten rows from the history: everything is forgotten.

Forgetting may happen while a batch is being written. So each batch takes a revision along, and what it counts is kept
only if that is still the newest.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pipeline.fold import DAY_SCHEMA, count_days
from rapport.storage.stream import read_block_contacts

if TYPE_CHECKING:
    from rapport.domain.blocks import LogPosition
    from rapport.storage.client import Store


@dataclass(frozen=True, slots=True)
class OpenDays:
    """Counts of the open blocks of some sources, by subject and day.

    Attributes:
        days: Columns as ``pipeline.fold.DAY_SCHEMA``.
        revision: To be given back with what the batch has changed.
    """

    days: pl.DataFrame
    revision: tuple[int, int]


class OpenBlocks:
    """Keeper of what the open blocks of a worker's sources count."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._revision = (0, 0)
        self._kept: dict[str, tuple[LogPosition, pl.DataFrame]] = {}

    def forget(self) -> None:
        """Forget everything."""
        with self._lock:
            self._revision = (self._revision[0] + 1, self._revision[1])
            self._kept.clear()

    def find(self, positions: Mapping[str, LogPosition], privacy_revision: int) -> OpenDays:
        """Return what the open blocks of some sources count at some positions.

        Args:
            positions: Position of each source.
            privacy_revision: Revision of the tombstones; with another one everything is forgotten first.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        with self._lock:
            if self._revision[1] != privacy_revision:
                self._revision = (self._revision[0], privacy_revision)
                self._kept.clear()
            revision = self._revision
            kept = {name: self._kept[name] for name in positions if name in self._kept}
        found = {name: days for name, (position, days) in kept.items() if position == positions[name]}
        missing = {name: at for name, at in positions.items() if name not in found and at.place.events}
        read = count_days(read_block_contacts(self._store, missing)) if missing else DAY_SCHEMA.to_frame()
        return OpenDays(pl.concat([read, *found.values()]), revision)

    def keep(self, positions: Mapping[str, LogPosition], days: OpenDays) -> None:
        """Keep what the open blocks of some sources count at some positions, unless something was forgotten meanwhile.

        Args:
            positions: Position of each source.
            days: What blocks of these sources count; of blocks that are closed nothing is kept.
        """
        by_source = days.days.partition_by("source", as_dict=True)
        open_days = {
            name: by_source.get((name,), DAY_SCHEMA.to_frame()).filter(pl.col("block") == position.place.block)
            for name, position in positions.items()
        }
        with self._lock:
            if self._revision == days.revision:
                self._kept.update({name: (at, open_days[name]) for name, at in positions.items()})
