"""Contact profiles, in the format that the caller prefers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.contact_profiles.controller import MOUNTS, ContactProfileController
from api.contact_profiles.service import ContactProfileService
from api.http.areas import Area
from rapport.jobs import Job

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_contact_profiles(runtime: Runtime) -> Area:
    """Build the area from the database and the clock of the process; it is mounted wherever callers look for it."""
    profiles = ContactProfileService(runtime.database, runtime.clock, runtime.settings.api.profile_retention_days)
    return Area(
        controllers=[ContactProfileController],
        services={"contact_profiles": profiles},
        jobs=[
            Job(
                name="profile-reads",
                work=profiles.note_reads,
                every_s=10.0,
                first_after_s=10.0,
                at_end=profiles.note_reads,
            ),
        ],
        mounts=MOUNTS,
    )
