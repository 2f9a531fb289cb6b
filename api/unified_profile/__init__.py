"""Unified profiles: everything known of a customer, section by section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.areas import Area
from api.unified_profile.controller import UnifiedProfileController
from api.unified_profile.sections import ListSections
from api.unified_profile.service import BUILT_IN, UnifiedProfileService
from api.unified_profile.structured import StructuredSections
from rapport.application.profiles.sections import discover_sections

if TYPE_CHECKING:
    from api.clv.service import ClvService
    from api.runtime.loader import Loader
    from api.runtime.runtime import Runtime
    from api.suppressions.service import SuppressionService
    from rapport.storage.history import HistoryPage, HistoryPageQuery


def build_unified_profile(
    runtime: Runtime,
    pages: Loader[HistoryPageQuery, HistoryPage],
    values: ClvService,
    suppressions: SuppressionService,
) -> Area:
    """Build the area from the history, values and suppressions, the database and the caches of the process."""
    lists = ListSections(runtime.database, runtime.catalogues, pages)
    profiles = UnifiedProfileService(
        database=runtime.database,
        identities=runtime.identities,
        clock=runtime.clock,
        lists=lists,
        fields=StructuredSections(runtime.database, runtime.catalogues, values, suppressions, lists),
        added=discover_sections(BUILT_IN),
        limit_s=runtime.settings.api.profile_section_s,
    )
    return Area(controllers=[UnifiedProfileController], services={"unified_profiles": profiles})
