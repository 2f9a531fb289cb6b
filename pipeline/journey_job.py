"""Journeys in the worker, as a job. The decision engine is loaded only once a tenant has a journey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from rapport.storage.journeys import load_journeys

if TYPE_CHECKING:
    import polars as pl

    from pipeline.batch import AppliedRange
    from pipeline.journeys import JourneyRunner
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class JourneyJob:
    """A journey runner that is made when the first journey exists, with all that its imports cost.

    Events recorded before that are not lost: the runner reads them from the history.

    Attributes:
        make_runner: Builds the runner; called once, in a thread, because it imports the decision engine.
        refresh_s: Until there is a journey, the definitions are looked up at most so often.
    """

    store: Store
    make_runner: Callable[[], JourneyRunner]
    refresh_s: float
    _runner: JourneyRunner | None = None
    _due_at: float = 0.0

    def note(self, ranges: Iterable[AppliedRange], accepted: pl.DataFrame) -> None:
        """Pass on the accepted events of a recorded batch; see :meth:`pipeline.journeys.JourneyRunner.note`."""
        if self._runner is not None:
            self._runner.note(ranges, accepted)

    async def run(self) -> None:
        """Enrol customers and advance those who are due; do nothing as long as no tenant has had a journey.

        Raises:
            PartialFailureError: Some customers could not be enrolled or advanced; the next pass tries again.
            StorageError: ClickHouse does not answer.
        """
        if self._runner is None and time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + self.refresh_s
            journeys = await asyncio.to_thread(load_journeys, self.store)
            if journeys:
                self._runner = await asyncio.to_thread(self.make_runner)
                log.info("journeys found: the decision engine is loaded")
        if self._runner is not None:
            await self._runner.run()
