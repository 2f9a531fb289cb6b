"""Background jobs of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.privacy.erased_customers import EVERY_S as FORGET_EVERY_S
from api.privacy.erased_customers import Forgetting
from api.privacy.requests import work_on_requests
from api.privacy.upkeep import delete_old, sweep_erased
from rapport.jobs import Job, Jobs

if TYPE_CHECKING:
    from api.services import Services

DAY_S = 86_400.0
FIRST_DAILY_S = 600.0
"""Not at once: a process that starts has other things to do."""


def background_jobs(services: Services) -> Jobs:
    """The jobs of an API process. What must not be done by several at once decides so in the database."""
    forgetting = Forgetting(services.database, services.decisions, services.repetitions, services.reservations)
    keyring, profiles, watermark = services.keyring, services.contact_profiles, services.watermark
    return Jobs(
        [
            Job(name="kafka", work=services.gateway.run, every_s=0.2, retry_s=0.2, longest_retry_s=5.0),
            Job(name="log-end", work=watermark.follow_log, every_s=0.0, retry_s=0.5, longest_retry_s=5.0),
            Job(name="progress", work=watermark.follow_tables, every_s=0.0, retry_s=0.5, longest_retry_s=5.0),
            Job(name="key-uses", work=keyring.note_uses, every_s=10.0, first_after_s=10.0, at_end=keyring.note_uses),
            Job(name="forgetting", work=forgetting.look, every_s=FORGET_EVERY_S, longest_retry_s=FORGET_EVERY_S),
            Job(name="data-requests", work=lambda: work_on_requests(services), every_s=1.0, longest_retry_s=5.0),
            Job(name="sweep", work=lambda: sweep_erased(services), every_s=DAY_S, first_after_s=FIRST_DAILY_S),
            Job(name="retention", work=lambda: delete_old(services), every_s=DAY_S, first_after_s=FIRST_DAILY_S),
            Job(name="segments", work=services.segments.refresh_due, every_s=5.0, first_after_s=2.5),
            Job(
                name="profile-reads",
                work=profiles.note_reads,
                every_s=10.0,
                first_after_s=10.0,
                at_end=profiles.note_reads,
            ),
            Job(name="profile-expiry", work=profiles.expire, every_s=600.0, first_after_s=10.0),
        ],
        services.metrics.jobs,
    )
