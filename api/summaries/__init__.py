"""Summaries of customers, and totals over all of them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from api.http.areas import Area
from api.summaries.controller import SummaryController
from api.summaries.service import SummaryService
from rapport.storage.summaries import read_summaries

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_summaries(runtime: Runtime) -> Area:
    """Build the area from the database, the caches and a loader of summaries."""
    rows = runtime.loader(
        "summaries",
        lambda requests: runtime.database.call(read_summaries, requests),
        tenant_of=attrgetter("tenant_id"),
    )
    summaries = SummaryService(runtime.database, runtime.catalogues, runtime.tenants, runtime.identities, rows)
    return Area(controllers=[SummaryController], services={"summaries": summaries})
