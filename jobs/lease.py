"""The lease of the background jobs: of several processes one runs them, and the others wait.

ClickHouse knows no locks, so this says what is promised, and what is not.

**Invariant.** A process begins a statement of a job only while it relies on the lease (:meth:`Lease.check`), and at no
time do two processes rely on it. It rests on three rules:

1. A term has one holder: of several attempts at it the one stored first counts, and everyone reads the same one. Terms
   ascend.
2. A holder relies on a renewal for :data:`RELIED_ON` of the lease's duration, counted on its own monotonic clock from
   *before* it sent the renewal, and only if, read *after* the renewal was stored, the newest term is its own. Others
   count the whole duration, by the clock of the database, from when the renewal was stored: later on both counts.
3. Who has won a term waits until every renewal of earlier terms has expired, as read *after* its own attempt was
   stored. Either that read shows a late renewal of the holder before it, and it waits; or the renewal was stored after
   that read, and the holder before it sees the new term and does not rely on the renewal.

**Crash points.** Each leaves nothing that has to be mended:

* before an attempt is stored: nothing has happened;
* between the attempt and the first renewal: the term is silent, and expires as from a renewal;
* while it holds the lease (``kill -9``): the others take it when it has expired;
* in a statement: the statement ends, or does not; jobs are idempotent, and the next holder does the pass again;
* between the last statement and the release: as if it had not been released;
* suspended and resumed (a zombie): at its next statement it sees by its own clock that the lease has expired.

**Not promised.** A statement that was sent while the process relied on the lease may still run, or, if the process was
suspended between the check and the sending, begin, while another holds it. No condition in the database could refuse
it. So every job must stay correct if two processes do it at once; the lease only keeps that rare.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING, Final

import structlog

from rapport.storage.errors import StorageError
from rapport.storage.jobs import claim_term, read_lease, renew_term

if TYPE_CHECKING:
    from collections.abc import Callable

    from rapport.storage.database import Database
    from rapport.storage.jobs import LeaseState

log = structlog.get_logger(__name__)
RELIED_ON: Final = 0.8
"""Share of the duration for which a holder relies on a renewal: the clocks' rates may differ."""
RENEWALS: Final = 5
"""So many renewals, or looks of those who wait, fit into the duration."""


class LeaseLostError(Exception):
    """The lease has expired, or another process holds it: nothing more may be begun."""


class Lease:
    """The lease, as one process sees it.

    Args:
        database: Connection of its own: it must not wait for those of the jobs.
        duration_s: Silence after which others take the lease.
        clock: Returns seconds, monotonic.
    """

    def __init__(self, database: Database, duration_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.pause_s = duration_s / RENEWALS
        self.answered_at = -float("inf")
        self._database = database
        self._duration_s = duration_s
        self._clock = clock
        self._term = 0
        self._valid_until = -float("inf")

    @property
    def term(self) -> int:
        """The term that this process holds, or held last."""
        return self._term

    @property
    def is_held(self) -> bool:
        """Whether this process relies on the lease now."""
        return self._clock() < self._valid_until

    @property
    def is_in_touch(self) -> bool:
        """Whether the database has answered within the duration."""
        return self._clock() - self.answered_at < self._duration_s

    def check(self) -> None:
        """Return if a statement may begin.

        Raises:
            LeaseLostError: It may not.
        """
        if not self.is_held:
            raise LeaseLostError

    async def acquire(self) -> None:
        """Wait until this process holds the lease; while the database does not answer, too."""
        is_told = False
        while True:
            try:
                found = await self._read()
                if found is None or not found.is_held:
                    await self._database.call(claim_term, found.term + 1 if found else 1, self.holder, self._millis)
                    found = await self._read()
                if found is not None and found.holder == self.holder and not found.is_released:
                    await asyncio.sleep(found.earlier_expires_in_ms / 1000)
                    if await self._renew(found.term):
                        log.info("this process runs the jobs", holder=self.holder, term=self._term)
                        return
                elif not is_told:
                    log.info("another process runs the jobs; this one waits", holder=found.holder if found else None)
                    is_told = True
            except StorageError as error:
                log.warning("the lease of the jobs cannot be read", error=str(error)[:500])
            await asyncio.sleep(self.pause_s)

    async def renew(self) -> None:
        """Renew the lease.

        Raises:
            LeaseLostError: Another process holds it, or it has expired.
            StorageError: The database does not answer; it may be tried again while the lease is valid.
        """
        if not await self._renew(self._term):
            raise LeaseLostError

    async def release(self) -> None:
        """Let others take the lease at once; no statement of this process may run any more.

        Raises:
            StorageError: The database does not answer; the lease expires by itself.
        """
        if self.is_held:
            self.drop()
            await self._database.call(renew_term, self._term, self._millis, is_released=True)

    def drop(self) -> None:
        """Begin no more statements; others take the lease when it has expired."""
        self._valid_until = -float("inf")

    async def _renew(self, term: int) -> bool:
        """Renew a term and read who holds the lease: the order matters."""
        sent_at = self._clock()
        await self._database.call(renew_term, term, self._millis)
        found = await self._read()
        if found is None or (found.term, found.holder) != (term, self.holder):
            self.drop()
            return False
        self._term, self._valid_until = term, sent_at + RELIED_ON * self._duration_s
        return self.is_held

    async def _read(self) -> LeaseState | None:
        found = await self._database.call(read_lease)
        self.answered_at = self._clock()
        return found

    @property
    def _millis(self) -> int:
        return round(self._duration_s * 1000)
