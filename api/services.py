"""What controllers work with: made once per process, by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from litestar.di import NamedDependency

if TYPE_CHECKING:
    from api.auth.keyring import Keyring
    from api.clv.service import CustomerValues
    from api.contact_profiles.service import ContactProfiles
    from api.health.readiness import Readiness
    from api.http.client_address import ClientAddresses
    from api.http.metrics import ApiMetrics
    from api.recommend.decider import Decider
    from api.recommend.quota import DecisionQuota
    from api.recommend.recent_decisions import RecentDecisions
    from api.recommend.reservation_store import Book
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.database import Database
    from api.runtime.event_producer import EventGateway
    from api.runtime.idempotency import Repetitions
    from api.runtime.identity_cache import IdentityMap
    from api.runtime.loader import Loader
    from api.runtime.tenants import TenantDirectory
    from api.runtime.watermark import Watermark
    from api.segments.refresh import SegmentRefresher
    from api.unified_profile.service import UnifiedProfiles
    from rapport.settings import Settings
    from rapport.storage.history import HistoryPage, HistoryPageQuery
    from rapport.storage.summaries import SummaryPage, SummaryQuery


class Services:
    """Everything that lives as long as the process.

    No dataclass: the framework would take one apart to validate it, at every request.

    Attributes:
        clock: Epoch milliseconds; what decisions and outcome types go by.
    """

    __slots__ = (
        "catalogues",
        "client_addresses",
        "clock",
        "clv",
        "contact_profiles",
        "database",
        "decider",
        "decisions",
        "gateway",
        "history",
        "identities",
        "keyring",
        "metrics",
        "profiles",
        "quota",
        "readiness",
        "repetitions",
        "reservations",
        "segments",
        "settings",
        "summaries",
        "tenants",
        "watermark",
    )

    def __init__(
        self,
        *,
        settings: Settings,
        metrics: ApiMetrics,
        database: Database,
        catalogues: CompiledCatalogues,
        identities: IdentityMap,
        tenants: TenantDirectory,
        keyring: Keyring,
        watermark: Watermark,
        gateway: EventGateway,
        summaries: Loader[SummaryQuery, SummaryPage],
        history: Loader[HistoryPageQuery, HistoryPage],
        repetitions: Repetitions,
        client_addresses: ClientAddresses,
        clock: Callable[[], int],
        decisions: RecentDecisions,
        decider: Decider,
        quota: DecisionQuota,
        readiness: Readiness,
        clv: CustomerValues,
        profiles: UnifiedProfiles,
        reservations: Book,
        segments: SegmentRefresher,
        contact_profiles: ContactProfiles,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.database = database
        self.catalogues = catalogues
        self.identities = identities
        self.tenants = tenants
        self.keyring = keyring
        self.watermark = watermark
        self.gateway = gateway
        self.summaries = summaries
        self.history = history
        self.repetitions = repetitions
        self.client_addresses = client_addresses
        self.clock = clock
        self.decisions = decisions
        self.decider = decider
        self.quota = quota
        self.readiness = readiness
        self.clv = clv
        self.profiles = profiles
        self.reservations = reservations
        self.segments = segments
        self.contact_profiles = contact_profiles


FromServices = NamedDependency[Services]
"""How a handler asks for them, as a parameter named ``services``."""
