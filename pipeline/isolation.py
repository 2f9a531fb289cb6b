"""Isolation of poison messages: one that causes an error becomes a dead letter, and the rest of its batch is applied.

The invariant: a batch may be cut anywhere, because each part is a batch of its own that continues the recorded
progress, claims its own keys and is written whole before the next part is begun. So a batch that fails, other than by
an external error, is halved until the message is alone; alone it becomes a dead letter without being decoded, and the
progress passes it only together with that letter.

* A crash in between has the effect of a crash between two batches; the next owner isolates the message anew.
* Rows of a failed attempt, claims or history, are written again by the part that holds the message, to the same
  values. Everything about a batch that depends on the contents of its messages is computed before anything but claims
  is written, so that a message that is set aside has left no other rows. Its claim stays: an event that reuses its key
  is a duplicate or a conflict, as after any other first event.
* A batch that must wait for another source, is outdated or is stale is treated as any such batch: its partition is read
  again, and the parts that follow do not continue it and are read again too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka.errors import KafkaError

from pipeline.faults import Step
from pipeline.privacy import OutdatedBatchError
from rapport.domain.rejections import Rejection, RejectionCode
from rapport.storage.errors import StorageError

if TYPE_CHECKING:
    from pipeline.batch import Batch, Partition
    from pipeline.positions import Positions

log = structlog.get_logger(__name__)
MAX_DETAIL: Final = 1_000


class StaleBatchError(Exception):
    """Batch of an older generation of the group; another worker may own its partitions."""


EXTERNAL_ERRORS: Final = (StorageError, KafkaError, OSError, OutdatedBatchError, StaleBatchError)
"""Errors that no message of the batch causes."""


class Isolation:
    """Isolation of the message that makes a batch fail, by applying the batch in ever smaller parts.

    Args:
        positions: The next offset of each partition.
        set_aside: Receives the isolated messages, by partition and offset, with the reason.
        on_step: Called with :attr:`Step.SET_ASIDE`.
    """

    def __init__(
        self,
        positions: Positions,
        set_aside: dict[tuple[Partition, int], Rejection],
        on_step: Callable[[Step], None],
    ) -> None:
        self._positions = positions
        self._set_aside = set_aside
        self._on_step = on_step
        self._suspects: dict[Partition, int] = {}

    def is_suspect(self, batch: Batch) -> bool:
        """Return whether a batch holds messages of one that failed."""
        owned = self._positions.next_offset
        self._suspects = {p: until for p, until in self._suspects.items() if owned.get(p, until) < until}
        return any(records[0].offset < self._suspects.get(p, 0) for p, records in batch.slices.items())

    def suspect(self, batch: Batch, error: Exception) -> None:
        """Record that a message of a batch made it fail."""
        log.warning("a message causes an error: its batch is applied in parts", error=repr(error)[:500])
        for partition, records in batch.slices.items():
            self._suspects[partition] = max(records[-1].offset + 1, self._suspects.get(partition, 0))

    async def apply_in_parts(self, batch: Batch, apply: Callable[[Batch], Awaitable[None]]) -> None:
        """Apply a batch, halved until the message that causes an error is alone.

        Raises:
            Exception: One of :data:`EXTERNAL_ERRORS`; or an error that remains after the only message was set aside.
        """
        try:
            await apply(batch)
        except EXTERNAL_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is
            halves = batch.halves()
            for half in halves:
                await self.apply_in_parts(half, apply)
            if not halves:
                self._put_aside(batch, error)
                await apply(batch)

    def _put_aside(self, batch: Batch, error: Exception) -> None:
        for partition, (record,) in batch.slices.items():
            log.error(
                "a message cannot be processed and becomes a dead letter",
                partition=partition.partition,
                offset=record.offset,
                exc_info=error,
            )
            detail = f"Processing the message failed: {type(error).__name__}: {error}"
            self._set_aside[partition, record.offset] = Rejection(RejectionCode.UNPROCESSABLE, detail[:MAX_DETAIL])
        self._on_step(Step.SET_ASIDE)
