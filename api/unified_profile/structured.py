"""The sections of a structured profile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from api.http.times import iso
from api.unified_profile.schemas import Contacts, Demographics, Interactions
from rapport.storage.contact_profiles import find_profiles_of_customers
from rapport.storage.customer_profiles import read_contact_totals
from rapport.storage.customers import load_customers
from rapport.storage.metrics import read_metrics

if TYPE_CHECKING:
    from api.clv.schemas import ClvView
    from api.clv.service import ClvService
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.suppressions.schemas import SuppressionView
    from api.suppressions.service import SuppressionService
    from api.unified_profile.section_loader import Load, ProfileQuery
    from api.unified_profile.sections import ListSections
    from rapport.storage.database import Database


FIELD_NAMES: Final = ("demographics", "interactions", "clv", "metrics", "suppressions")
"""Sections; each fills the field of its name."""


class StructuredSections:
    """Loads the sections of a structured profile.

    Args:
        lists: Loads the latest interactions.
    """

    def __init__(
        self,
        database: Database,
        catalogues: CompiledCatalogues,
        values: ClvService,
        suppressions: SuppressionService,
        lists: ListSections,
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._values = values
        self._suppressions = suppressions
        self._lists = lists

    def by_name(self) -> Mapping[str, Load]:
        """Return the loaders of the sections, in the order of :data:`FIELD_NAMES`."""
        loads = (
            self.load_demographics,
            self.load_activity,
            self.load_value,
            self.load_metrics,
            self.load_suppressions,
        )
        return dict(zip(FIELD_NAMES, loads, strict=True))

    async def load_demographics(self, query: ProfileQuery) -> Demographics:
        """Load attributes and contact profiles. Of several ids of one person, the canonical one's attributes count."""
        customers, profiles = await asyncio.gather(
            self._database.call(load_customers, query.tenant_id, query.customer_ids),
            self._database.call(find_profiles_of_customers, query.tenant_id, query.customer_ids),
        )
        attributes = {
            name: value
            for customer_id in reversed(query.customer_ids)
            if (one := customers.get(customer_id)) is not None and not one.is_deleted
            for name, value in one.attributes.items()
        }
        living = sorted((one for one in customers.values() if not one.is_deleted), key=lambda one: one.updated_at_ms)
        return Demographics(
            attributes=attributes,
            updated_at=iso(living[-1].updated_at_ms) if living else None,
            contact_profiles=[{"id": one.profile.id, **one.profile.fields} for one in profiles],
        )

    async def load_activity(self, query: ProfileQuery) -> Interactions:
        """Load totals and recent interactions."""
        totals, recent = await asyncio.gather(
            self._database.call(read_contact_totals, query.tenant_id, query.customer_ids),
            self._lists.load_interactions(query),
        )
        if totals is None:
            return Interactions(totals=Contacts(), recent=recent)
        counts = msgspec.structs.asdict(totals)
        last_contact_at = iso(counts.pop("last_contact_at_ms"))
        return Interactions(totals=Contacts(**counts, last_contact_at=last_contact_at), recent=recent)

    async def load_value(self, query: ProfileQuery) -> ClvView:
        """Load the customer's lifetime value."""
        return await self._values.of(query.tenant_id, query.customer_id)

    async def load_metrics(self, query: ProfileQuery) -> Mapping[str, float | None]:
        """Compute active behavioral metrics, by key."""
        definitions = list((await self._catalogues.of(query.tenant_id)).metrics.values())
        if not definitions:
            return {}
        of_customers = await self._database.call(
            read_metrics, query.tenant_id, {query.customer_id: query.customer_ids}, definitions, query.now_ms
        )
        values = of_customers[query.customer_id]
        return {one.key: values.get(one.key) for one in definitions}

    async def load_suppressions(self, query: ProfileQuery) -> Sequence[SuppressionView]:
        """Load the customer's suppressions."""
        return await self._suppressions.list_all(query.tenant_id, query.customer_id)
