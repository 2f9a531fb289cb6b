"""A message that causes an error stops nobody: it is found, and becomes a dead letter.

The invariant: a batch may be cut anywhere, because each part is a batch of its own that continues the recorded
progress, claims its own keys and is written whole before the next part is begun. So a batch that fails, other than by
what is outside of it, is halved until the message is alone; alone it becomes a dead letter, unread, and the progress
passes it only together with that letter.

* A crash in between leaves what a crash between two batches leaves; the next owner finds the message anew.
* What was written of a failed attempt, claims or history, is written again by the part that holds it, to the same
  values. Everything about a batch that depends on what its messages say is worked out before anything but claims is
  written, so that a message that is set aside has left nothing else. Its claim stays: who reuses its key is a
  repetition or a conflict, as after any other first event.
* Who must wait for another source, is outdated or stale is treated as in any batch: its partition is read again, and
  the parts that follow find that they no longer continue it.
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
    """The batch belongs to an older generation of the group; its partitions may be someone else's."""


OUTSIDE: Final = (StorageError, KafkaError, OSError, OutdatedBatchError, StaleBatchError)
"""What goes wrong outside of a batch: no message of it is the cause."""


class Isolation:
    """Knows which messages are suspected, and applies them so that the one that causes an error is found.

    Args:
        positions: Where the partitions continue.
        set_aside: Takes the messages that were found, by partition and offset.
        reach: Told of :attr:`Step.SET_ASIDE`.
    """

    def __init__(
        self,
        positions: Positions,
        set_aside: dict[tuple[Partition, int], Rejection],
        reach: Callable[[Step], None],
    ) -> None:
        self._positions = positions
        self._set_aside = set_aside
        self._reach = reach
        self._suspects: dict[Partition, int] = {}

    def is_suspect(self, batch: Batch) -> bool:
        """Whether a batch holds messages of one that failed."""
        owned = self._positions.next_offset
        self._suspects = {p: until for p, until in self._suspects.items() if owned.get(p, until) < until}
        return any(records[0].offset < self._suspects.get(p, 0) for p, records in batch.slices.items())

    def suspect(self, batch: Batch, error: Exception) -> None:
        """Note that a batch failed by one of its messages."""
        log.warning("a message causes an error: its batch is applied in parts", error=repr(error)[:500])
        for partition, records in batch.slices.items():
            self._suspects[partition] = max(records[-1].offset + 1, self._suspects.get(partition, 0))

    async def apply_in_parts(self, batch: Batch, apply: Callable[[Batch], Awaitable[None]]) -> None:
        """Apply a batch, halved until the message that causes an error is alone.

        Raises:
            Exception: One of :data:`OUTSIDE`; or one that is raised even though the only message was set aside.
        """
        try:
            await apply(batch)
        except OUTSIDE:
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
        self._reach(Step.SET_ASIDE)
