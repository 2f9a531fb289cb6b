"""Background jobs on the wire."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class JobView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One job.

    Attributes:
        process: jobs for work for all, which one process does; api for that of the API process that answers.
        status: ok; failing; waiting where no pass has ended yet; late where a pass is due and no process has begun it.
        last_duration_seconds: Duration of the latest pass that has ended.
        due_at: When the next pass begins; null while one runs.
        failures: Passes that have failed since the last success.
        last_error: Of which kind it was; the logs of the process say more.
    """

    name: str
    process: str
    status: str
    every_seconds: float
    last_started_at: str | None
    last_duration_seconds: float | None
    last_success_at: str | None
    due_at: str | None
    failures: int
    last_error: str | None
    last_failure_at: str | None


class LeaseView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Process that runs the jobs.

    Attributes:
        holder: Host, process id and a random part; null if no process runs the jobs.
        last_holder: The process that runs them, or ran them last.
        renewed_at: When it last said that it does.
    """

    holder: str | None
    last_holder: str
    renewed_at: str


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """Every job.

    Attributes:
        lease: Null if no process has ever run the jobs.
    """

    data: Sequence[JobView]
    lease: LeaseView | None
