"""Builds unified profiles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from api.http.errors import ApiError, invalid, unavailable
from api.http.times import iso
from api.unified_profile.schemas import (
    Demographics,
    Interactions,
    NamedSectionError,
    ProfileSection,
    StructuredProfile,
    UnifiedProfile,
)
from api.unified_profile.section_loader import Load, ProfileQuery, SectionResult, load_sections
from api.unified_profile.sections import LIST_NAMES
from api.unified_profile.structured import FIELD_NAMES
from rapport.application.profiles.isolation import IsolatedSection
from rapport.application.profiles.sections import Section, SectionContext
from rapport.domain.faults import Fault
from rapport.storage.customer_profiles import is_known

if TYPE_CHECKING:
    from api.http.times import Clock
    from api.runtime.identity_cache import IdentityCache
    from api.unified_profile.sections import ListSections
    from api.unified_profile.structured import StructuredSections
    from rapport.storage.client import Store
    from rapport.storage.database import Database

BUILT_IN: Final = frozenset({*LIST_NAMES, *FIELD_NAMES})
"""Names that no package's section can have."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UnifiedProfileService:
    """Builds profiles of the built-in sections and those of packages.

    Args:
        lists: Built-in sections of a profile as a list.
        fields: Built-in sections of a structured profile.
        added: Sections of packages.
        limit_s: For each section, in seconds.
    """

    def __init__(
        self,
        *,
        database: Database,
        identities: IdentityCache,
        clock: Clock,
        lists: ListSections,
        fields: StructuredSections,
        added: Collection[Section],
        limit_s: float,
    ) -> None:
        self._database = database
        self._identities = identities
        self._clock = clock
        self._lists = lists.by_name()
        self._fields = fields.by_name()
        self._added: Mapping[str, Load] = {one.name: _isolate(one, database) for one in added}
        self._limit_s = limit_s

    async def listed(self, tenant_id: str, customer_id: str, wanted: str | None) -> UnifiedProfile:
        """Build a profile as a list of sections.

        Args:
            tenant_id: Tenant of the customer.
            customer_id: Id as it was given.
            wanted: Names of sections, separated by commas; None for all.

        Raises:
            ApiError: 400 for names that no section has; 404 if nothing is known of the customer; 503 if no section
                could be loaded because ClickHouse is away.
        """
        known: dict[str, Load] = {**self._lists, **self._added}
        query = await self._make_query(tenant_id, customer_id)
        found = await load_sections(_chosen(known, wanted), query, self._limit_s)
        await self._check(query, found, is_empty=not any(one.value for one in found))
        return UnifiedProfile(
            customer_id=customer_id,
            tenant_id=tenant_id,
            sections=[ProfileSection(name=one.name, data=one.value or (), error=one.error) for one in found],
            computed_at=iso(query.now_ms),
        )

    async def structured(self, tenant_id: str, customer_id: str) -> StructuredProfile:
        """Build a profile as one object.

        Raises:
            ApiError: As :meth:`listed`.
        """
        query = await self._make_query(tenant_id, customer_id)
        found = await load_sections({**self._fields, **self._added}, query, self._limit_s)
        values = {one.name: one.value for one in found}
        added = {name: values[name] for name in self._added if values[name] is not None}
        await self._check(query, found, is_empty=not (any(added.values()) or _says_anything(values)))
        return StructuredProfile(
            customer_id=customer_id,
            tenant_id=tenant_id,
            **{name: values[name] for name in FIELD_NAMES},
            extensions=added,
            errors=[
                NamedSectionError(section=one.name, code=one.error.code, message=one.error.message)
                for one in found
                if one.error
            ],
            computed_at=iso(query.now_ms),
        )

    async def _make_query(self, tenant_id: str, customer_id: str) -> ProfileQuery:
        return ProfileQuery(
            tenant_id=tenant_id,
            customer_id=customer_id,
            customer_ids=await self._identities.members(tenant_id, customer_id),
            now_ms=self._clock(),
        )

    async def _check(self, query: ProfileQuery, found: Sequence[SectionResult], *, is_empty: bool) -> None:
        """Raise for a customer without any data, and where no section could be loaded."""
        if found and all(one.error and one.error.code == "UNAVAILABLE" for one in found):
            raise unavailable("The database does not answer at the moment; try again shortly.")
        if is_empty and not any(one.error for one in found):
            if await self._database.call(is_known, query.tenant_id, query.customer_ids):
                return
            raise ApiError(404, f"Nothing is known of a customer {query.customer_id!r}.")


def _isolate(section: Section, database: Database) -> Load:
    isolated = IsolatedSection(section)

    async def load(query: ProfileQuery) -> Sequence[Any]:
        context = SectionContext(
            tenant_id=query.tenant_id,
            customer_id=query.customer_id,
            customer_ids=query.customer_ids,
            store=await database.call(_itself),
            now=_EPOCH + timedelta(milliseconds=query.now_ms),
        )
        return await isolated.load(context)

    return load


def _itself(store: Store) -> Store:
    return store


def _chosen(known: Mapping[str, Load], wanted: str | None) -> Mapping[str, Load]:
    names = {name.strip() for name in (wanted or "").split(",")} - {""}
    if not names:
        return known
    if unknown := sorted(names - known.keys()):
        message = f"there is no section {', '.join(unknown)}; there are {', '.join(known)}"
        raise invalid(Fault(field="sections", message=message))
    return {name: load for name, load in known.items() if name in names}


def _says_anything(values: Mapping[str, Any]) -> bool:
    """Return whether a structured profile holds anything but zeros."""
    demographics: Demographics | None = values["demographics"]
    interactions: Interactions | None = values["interactions"]
    return bool(
        (demographics and (demographics.updated_at or demographics.contact_profiles))
        or (interactions and interactions.recent)
        or values["suppressions"]
    )
