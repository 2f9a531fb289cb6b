"""Built-in sections of profiles in the documented form: a list of items each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from api.http.times import iso, iso_or_none
from api.unified_profile.schemas import RecentInteraction
from rapport.domain.profiles.consent import strictness_of
from rapport.storage.consents import load_consents
from rapport.storage.customer_profiles import read_assignments
from rapport.storage.history import HistoryFilter, HistoryPage, HistoryPageQuery
from rapport.storage.identity import list_identifiers
from rapport.storage.journeys import list_customer_enrolments
from rapport.storage.segments import list_memberships

if TYPE_CHECKING:
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.loader import Loader
    from api.unified_profile.section_loader import Load, ProfileQuery
    from rapport.storage.database import Database

RECENT: Final = 20
"""Interactions of a profile."""
Items = Sequence[Any]
LIST_NAMES: Final = ("identities", "interactions", "segments", "journeys", "experiments", "consent")
"""Sections, in the order in which a profile has them."""


class ListSections:
    """Loads the sections of a profile in the documented form.

    Args:
        history: Loads pages of single customers.
    """

    def __init__(
        self, database: Database, catalogues: CompiledCatalogues, history: Loader[HistoryPageQuery, HistoryPage]
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._history = history

    def by_name(self) -> Mapping[str, Load]:
        """Return the loaders of the sections, in the order of :data:`LIST_NAMES`."""
        loads = (
            self.load_identities,
            self.load_interactions,
            self.load_segments,
            self.load_journeys,
            self.load_experiments,
            self.load_consent,
        )
        return dict(zip(LIST_NAMES, loads, strict=True))

    async def load_identities(self, query: ProfileQuery) -> Items:
        """Load other identifiers of a customer: merged ids, linked ones, and those of contact profiles."""
        found = await self._database.call(list_identifiers, query.tenant_id, query.customer_ids)
        return [
            {"type": one.type, "value": one.value, "confidence": one.confidence}
            for one in found
            if one.value != query.customer_id
        ]

    async def load_interactions(self, query: ProfileQuery) -> Sequence[RecentInteraction]:
        """Load the latest interactions, the newest first."""
        wanted = HistoryFilter(tenant_id=query.tenant_id, customer_id=query.customer_id, members=query.customer_ids)
        page = await self._history.load(HistoryPageQuery(filters=wanted, limit=RECENT))
        return [
            RecentInteraction(
                id=row["id"],
                offer_id=row["offer_id"],
                channel_id=row["channel_id"],
                interaction_type=row["outcome"],
                timestamp=iso(round(row["occurred_at"].timestamp() * 1000)),
            )
            for row in page.rows
        ]

    async def load_segments(self, query: ProfileQuery) -> Items:
        """Load the active segments that the customer is in."""
        found = await self._database.call(list_memberships, query.tenant_id, query.customer_ids)
        return [
            {
                "segmentId": one.segment_id,
                "segmentName": one.segment_name,
                "memberSince": iso(one.member_since_ms),
            }
            for one in found
        ]

    async def load_journeys(self, query: ProfileQuery) -> Items:
        """Load enrolments in journeys, active or ended, the latest first."""
        found = await self._database.call(list_customer_enrolments, query.tenant_id, query.customer_ids)
        return [
            {
                "enrollmentId": one.enrolment_id,
                "journeyId": one.journey_id,
                "journeyName": one.journey_name,
                "status": one.status,
                "currentStep": one.current_step,
                "enrolledAt": iso(one.enrolled_at_ms),
                "completedAt": iso_or_none(one.completed_at_ms),
            }
            for one in found
        ]

    async def load_experiments(self, query: ProfileQuery) -> Items:
        """Load the arms that count, by experiment."""
        found = await self._database.call(read_assignments, query.tenant_id, query.customer_ids)
        known = (await self._catalogues.of(query.tenant_id)).experiments if found else {}
        return [
            {
                "experimentId": one.experiment_id,
                "experimentName": known[one.experiment_id].name if one.experiment_id in known else None,
                "variant": one.variant,
                "assignedAt": iso(one.assigned_at_ms),
                "lastDecidedAt": iso(one.last_decided_at_ms),
            }
            for one in found
        ]

    async def load_consent(self, query: ProfileQuery) -> Items:
        """Load recorded consents by purpose. Of several ids of one person, the strictest statement counts."""
        found = await self._database.call(load_consents, query.tenant_id, query.customer_ids)
        statements = [one for of_one in found.values() for one in of_one]
        strictest = {
            one.purpose: one
            for one in sorted(statements, key=lambda one: (strictness_of(one.status), one.stated_at_ms))
        }
        return [
            {
                "purpose": one.purpose,
                "status": one.status,
                "source": one.source,
                "grantedAt": iso_or_none(one.granted_at_ms),
                "revokedAt": iso_or_none(one.revoked_at_ms),
            }
            for _, one in sorted(strictest.items())
        ]
