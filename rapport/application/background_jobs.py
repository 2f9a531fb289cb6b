"""Background work for all tenants: what is done, how often, and by what.

It runs in the process that holds the lease of the jobs. The lease keeps two processes from doing it at once as far as
that can be promised; a process that was suspended may still do some of it beside another. So each job is idempotent:

* ``segments``: two refreshes come to the same members; the times of entry are some milliseconds apart.
* ``data-requests``: an export has an attempt of its own and is compared with the tables; an erasure repeated is one
  erasure with two receipts.
* ``profile-expiry``: a profile ends by a version that only one writer can make.
* ``sweep``, ``retention``: what is deleted already is not there.
* ``compaction``: a compaction repeated, or overtaken by another, changes no count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rapport.application.contact_profiles.expiry import remove_expired
from rapport.application.privacy.data_requests import DataRequestWorker
from rapport.application.privacy.erasure import CustomerEraser, sweep_erased
from rapport.application.privacy.retention import delete_expired
from rapport.application.segments.refresh import SegmentRefresher
from rapport.jobs import Job
from rapport.state.customer_erasure import remove_shared_state
from rapport.storage.compaction import compact_crowded, delete_emptied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from rapport.domain.customers.customer import CustomerKey
    from rapport.settings import ApiSettings
    from rapport.state.shared_state import SharedState
    from rapport.storage.database import Database

_DAY_S: Final = 86_400.0
_FIRST_DAILY_S: Final = 600.0
"""Not at once: the first time, everything else has just been started too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Times of one job, as in :class:`rapport.jobs.Job`."""

    every_s: float
    first_after_s: float = 0.0
    longest_retry_s: float = 30.0


SCHEDULES: Final[Mapping[str, Schedule]] = {
    "segments": Schedule(every_s=5.0),
    "data-requests": Schedule(every_s=2.0, longest_retry_s=5.0),
    "profile-expiry": Schedule(every_s=600.0, first_after_s=10.0),
    "sweep": Schedule(every_s=_DAY_S, first_after_s=_FIRST_DAILY_S),
    "retention": Schedule(every_s=_DAY_S, first_after_s=_FIRST_DAILY_S),
    "compaction": Schedule(every_s=600.0, first_after_s=_FIRST_DAILY_S),
    "compaction-cleanup": Schedule(every_s=_DAY_S, first_after_s=2 * _FIRST_DAILY_S),
}
"""Every job, by its name."""


def build_background_jobs(
    database: Database, shared: SharedState | None, settings: ApiSettings, clock: Callable[[], int]
) -> Sequence[Job]:
    """Build the jobs.

    Args:
        database: Their connections.
        shared: Redis with the state of customers that the API's processes share; None if each keeps its own.
        settings: How old members of segments may become, and when contact profiles expire.
        clock: Returns epoch milliseconds.
    """

    async def remove_state(key: CustomerKey) -> None:
        await remove_shared_state(shared, key)

    segments = SegmentRefresher(database, clock, every_s=settings.segment_refresh_s)
    requests = DataRequestWorker(database, CustomerEraser(database, remove_state, clock), clock)
    work: Mapping[str, Callable[[], Awaitable[object]]] = {
        "segments": segments.refresh_due,
        "data-requests": requests.work_on_requests,
        "profile-expiry": lambda: remove_expired(database, clock, settings.profile_retention_days),
        "sweep": lambda: sweep_erased(database),
        "retention": lambda: delete_expired(database, clock),
        "compaction": lambda: database.call(compact_crowded),
        "compaction-cleanup": lambda: database.call(delete_emptied),
    }
    return [
        Job(
            name=name,
            work=work[name],
            every_s=schedule.every_s,
            first_after_s=schedule.first_after_s,
            longest_retry_s=schedule.longest_retry_s,
        )
        for name, schedule in SCHEDULES.items()
    ]
