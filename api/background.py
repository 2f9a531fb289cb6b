"""Background jobs of an API process, which keep its memory and connections; ``rapport jobs`` does the others."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from rapport.jobs import Job, Jobs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.auth.key_cache import KeyCache
    from api.http.areas import Area
    from api.runtime.runtime import Runtime


def background_jobs(runtime: Runtime, keyring: KeyCache, areas: Iterable[Area]) -> Jobs:
    """Return the jobs of the process and of its areas."""
    note_uses = Job(name="key-uses", work=keyring.note_uses, every_s=10.0, first_after_s=10.0, at_end=keyring.note_uses)
    jobs = [*runtime.jobs(), note_uses, *chain.from_iterable(area.jobs for area in areas)]
    return Jobs(jobs, runtime.metrics.jobs)
