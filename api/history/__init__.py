"""The history: every interaction as it was accepted."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from api.history.controller import HistoryController
from api.history.service import HistoryService
from api.http.areas import Area
from rapport.storage.history import read_pages

if TYPE_CHECKING:
    from api.runtime.loader import Loader
    from api.runtime.runtime import Runtime
    from rapport.storage.history import HistoryPage, HistoryPageQuery


def build_page_loader(runtime: Runtime) -> Loader[HistoryPageQuery, HistoryPage]:
    """Make the loader of single customers' pages; unified profiles show their latest interactions by it, too."""
    return runtime.loader(
        "history",
        lambda requests: runtime.database.call(read_pages, requests),
        tenant_of=attrgetter("filters.tenant_id"),
    )


def build_history(runtime: Runtime, pages: Loader[HistoryPageQuery, HistoryPage]) -> Area:
    """Build the area from the database, the catalogues, the merges and the loader of pages."""
    history = HistoryService(runtime.database, runtime.catalogues, runtime.identities, pages)
    return Area(controllers=[HistoryController], services={"history": history})
