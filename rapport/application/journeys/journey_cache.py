"""Cache of the journeys and catalogues of all tenants, some seconds old at most."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from cachetools import LRUCache

from rapport.domain.configs import ConfigError
from rapport.domain.decisions.catalogue import Catalogue
from rapport.domain.decisions.compile import compile_catalogue
from rapport.domain.formulas import FormulaError
from rapport.domain.journeys.definition import Journey
from rapport.domain.journeys.plan import JourneyPlan, compile_journey
from rapport.domain.profiles.attributes import AttributeSchema
from rapport.storage.catalogue import load_catalogue, read_catalogue_stamp
from rapport.storage.journeys import load_journey_body, load_journeys
from rapport.storage.tenants import TenantReader

if TYPE_CHECKING:
    from rapport.domain.catalogue.customer_schema import CustomerSchema
    from rapport.domain.catalogue.inventory import Creative
    from rapport.domain.tenants import Tenant
    from rapport.storage.client import Store
    from rapport.storage.journeys import StoredJourney

log = structlog.get_logger(__name__)
MAX_PLANS: Final = 10_000
MAX_CATALOGUES: Final = 200


class NoJourneyError(ValueError):
    """A version of a journey is not available; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyEntry:
    """Entry by events into an active journey.

    Attributes:
        since_ms: Events that the broker received earlier do not count, epoch milliseconds.
    """

    tenant_id: str
    plan: JourneyPlan
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantConfiguration:
    """Configuration of a tenant that journeys need.

    Attributes:
        creatives: Active ones on active channels, by id.
        form: Attributes of customers as the schemas define them.
    """

    tenant: Tenant
    catalogue: Catalogue
    creatives: Mapping[str, Creative]
    form: AttributeSchema


@dataclass(slots=True)
class JourneyCache:
    """Cached journeys. Not thread-safe.

    Attributes:
        entries: Active journeys with an entry condition.
        paused: Tenant and id of journeys that are neither active nor ended: their enrolments wait.
        ended: Tenant and id of journeys that were archived or deleted: their enrolments end.
        entry_outcomes: Tenant and outcome of all entry conditions.
    """

    store: Store
    refresh_s: float
    monotonic: Callable[[], float] = time.monotonic
    entries: Sequence[JourneyEntry] = ()
    paused: frozenset[tuple[str, str]] = frozenset()
    ended: frozenset[tuple[str, str]] = frozenset()
    entry_outcomes: frozenset[tuple[str, str]] = frozenset()
    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    _reader: TenantReader = field(default_factory=TenantReader)
    _loaded_at: float = -float("inf")
    _unreadable: set[tuple[str, str, int]] = field(default_factory=set)
    _plans: LRUCache[tuple[str, str, int], JourneyPlan] = field(default_factory=lambda: LRUCache(MAX_PLANS))
    _configured: LRUCache[str, TenantConfiguration] = field(default_factory=lambda: LRUCache(MAX_CATALOGUES))

    def refresh(self, *, at_once: bool = False) -> None:
        """Reload journeys and tenants if they are older than the refresh interval, or in any case with ``at_once``.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        if not at_once and self.monotonic() - self._loaded_at < self.refresh_s:
            return
        self.tenants = self._reader.read(self.store)
        journeys = load_journeys(self.store)
        names = {True: set[tuple[str, str]](), False: set[tuple[str, str]]()}
        entries = []
        for one in journeys:
            has_ended = one.is_deleted or one.status == "archived"
            if has_ended or one.status != "active":
                names[has_ended].add((one.tenant_id, one.journey_id))
            elif (entry := self._find_entry(one)) is not None:
                entries.append(entry)
        self.entries, self.ended, self.paused = entries, frozenset(names[True]), frozenset(names[False])
        self.entry_outcomes = frozenset(
            (entry.tenant_id, outcome)
            for entry in entries
            if entry.plan.condition
            for outcome in entry.plan.condition.outcomes
        )
        self._loaded_at = self.monotonic()

    def load_plan(self, tenant_id: str, journey_id: str, version: int) -> JourneyPlan:
        """Return one compiled version of a journey.

        Raises:
            NoJourneyError: There is none, or it cannot be read any more.
            StorageError: ClickHouse does not answer.
        """
        key = (tenant_id, journey_id, version)
        if key not in self._plans:
            body = load_journey_body(self.store, tenant_id, journey_id, version)
            if body is None:
                raise NoJourneyError(f"version {version} of the journey is not there")
            self._cache_plan(key, body)
        return self._plans[key]

    def load_configuration(self, tenant_id: str) -> TenantConfiguration:
        """Return a tenant's current configuration.

        Raises:
            NoJourneyError: The tenant is not active any more.
            StorageError: ClickHouse does not answer.
        """
        tenant = self.tenants.get(tenant_id)
        if tenant is None:
            raise NoJourneyError("the tenant is not active")
        stamp = read_catalogue_stamp(self.store, tenant_id)
        config = self._configured.get(tenant_id)
        if config is None or config.catalogue.stamp != stamp or config.tenant is not tenant:
            config = self._configured[tenant_id] = _configure(self.store, tenant, stamp)
        return config

    def _find_entry(self, one: StoredJourney) -> JourneyEntry | None:
        key = (one.tenant_id, one.journey_id, one.version)
        try:
            if key not in self._plans:
                self._cache_plan(key, one.body)
        except NoJourneyError as error:
            if key not in self._unreadable:
                self._unreadable.add(key)
                log.warning("a journey is left out", tenant_id=key[0], journey_id=key[1], error=str(error))
            return None
        plan = self._plans[key]
        return (
            JourneyEntry(tenant_id=one.tenant_id, plan=plan, since_ms=one.active_since_ms) if plan.condition else None
        )

    def _cache_plan(self, key: tuple[str, str, int], body: str) -> None:
        try:
            self._plans[key] = compile_journey(msgspec.json.decode(body, type=Journey), key[2])
        except (msgspec.DecodeError, RecursionError, ConfigError, FormulaError) as error:
            raise NoJourneyError(f"the journey cannot be read: {error}") from error


def _configure(store: Store, tenant: Tenant, stamp: str) -> TenantConfiguration:
    stored = load_catalogue(store, tenant.tenant_id, stamp)
    catalogue = compile_catalogue(stamp, stored.entities)
    schemas: Sequence[CustomerSchema] = stored.entities.get("customer_schema", ())  # type: ignore[assignment]
    return TenantConfiguration(
        tenant=tenant,
        catalogue=catalogue,
        creatives={one.id: one for some in catalogue.creatives.values() for one in some},
        form=AttributeSchema.from_schemas(schemas),
    )
