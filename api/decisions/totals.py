"""What all customers of a tenant together have been shown and have answered, as of some seconds ago."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from rapport.domain.catalogue.inventory import Budget
from rapport.domain.catalogue.strategy import Node
from rapport.domain.decisions.facts import Evidence, TenantFacts
from rapport.domain.decisions.records import Looked
from rapport.domain.periods import local_date
from rapport.storage.decision_facts import OfferTotals, read_totals
from rapport.storage.errors import TransientStorageError

if TYPE_CHECKING:
    from datetime import date

    from api.database import Database
    from rapport.domain.decisions.compiling import Catalogue
    from rapport.storage.tenants import Tenant

log = structlog.get_logger(__name__)
REFRESH_S: Final = 2.0
BUSY_SHARE: Final = 0.05
"""Totals are read over all customers: of one tenant at most this share of the time."""
MAX_TENANTS: Final = 1_000
_NO_BUDGET: Final = Budget()
_NONE: Final = Evidence()


@dataclass(slots=True)
class _Known:
    """A tenant's totals.

    Attributes:
        day: The tenant's calendar day for which ``shown_today`` holds.
        next_at: When they are read again, monotonic seconds.
        stamp: The catalogue for which the facts were made of them.
    """

    day: date
    totals: Sequence[OfferTotals]
    next_at: float
    stamp: str = ""
    shown_today: Mapping[str, int] | None = None
    shown: Mapping[str, int] | None = None
    evidence: Mapping[tuple[str, str], Evidence] | None = None


class TenantTotals:
    """Totals of the tenants whose catalogues need any. While new ones are read, requests take those there are.

    Budgets over all customers are therefore kept to within some seconds, other than caps per customer, which are exact.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reading: dict[str, asyncio.Task[_Known]] = {}

    async def of(self, tenant: Tenant, catalogue: Catalogue, now_ms: int) -> TenantFacts:
        """A tenant's facts.

        Raises:
            StorageError: They were never read, or not today, and ClickHouse does not answer.
        """
        if not needs_totals(catalogue):
            return TenantFacts(
                tenant_id=tenant.tenant_id,
                time_zone=tenant.time_zone,
                holdout_percent=tenant.settings.holdout_percent,
            )
        known = await self._find(tenant, now_ms)
        if known.stamp != catalogue.stamp or known.evidence is None:
            _arrange(known, catalogue)
        return TenantFacts(
            tenant_id=tenant.tenant_id,
            time_zone=tenant.time_zone,
            shown_today=Looked(known.shown_today or {}),
            shown=Looked(known.shown or {}),
            evidence=Looked(known.evidence or {}),
            holdout_percent=tenant.settings.holdout_percent,
        )

    async def _find(self, tenant: Tenant, now_ms: int) -> _Known:
        known = self._known.get(tenant.tenant_id)
        today = local_date(now_ms, tenant.time_zone)
        if known is not None and known.day == today and time.monotonic() < known.next_at:
            return known
        reading = self._reading.get(tenant.tenant_id)
        if reading is None:
            reading = self._reading[tenant.tenant_id] = asyncio.create_task(self._read(tenant, now_ms))
            reading.add_done_callback(_retrieve)
        if known is not None and known.day == today:
            return known
        return await asyncio.shield(reading)

    async def _read(self, tenant: Tenant, now_ms: int) -> _Known:
        started = time.monotonic()
        totals: Sequence[OfferTotals]
        try:
            totals = await self._database.call(read_totals, tenant.tenant_id, tenant.time_zone, now_ms)
        except TransientStorageError as error:
            known = self._known.get(tenant.tenant_id)
            if known is None:
                raise
            log.warning("totals could not be read; what was known holds", error=str(error))
            totals = known.totals
        finally:
            del self._reading[tenant.tenant_id]
        ended = time.monotonic()
        next_at = ended + max(REFRESH_S, (ended - started) / BUSY_SHARE)
        known = self._known[tenant.tenant_id] = _Known(local_date(now_ms, tenant.time_zone), totals, next_at)
        self._known.move_to_end(tenant.tenant_id)
        while len(self._known) > MAX_TENANTS:
            self._known.popitem(last=False)
        return known


def needs_totals(catalogue: Catalogue) -> bool:
    """Whether a catalogue has budgets, or a flow that looks at evidence."""
    has_budget = any(offer.budget != _NO_BUDGET for offer in catalogue.offers.values())
    return has_budget or bool(catalogue.models) or any(_asks_evidence(f.published) for f in catalogue.flows.values())


def _asks_evidence(nodes: Iterable[Node]) -> bool:
    for node in nodes:
        if node.type == "optimize" or (node.type == "score" and node.config.get("method") in ("propensity", "formula")):
            return True
        if node.type == "score" and node.config.get("floor"):
            return True
        if node.type == "conditional":  # its branches are nodes as they were written
            return True
    return False


def _arrange(known: _Known, catalogue: Catalogue) -> None:
    """Add totals up by what they are asked for; the catalogue says which category an offer is of."""
    limited = {offer.id for offer in catalogue.offers.values() if offer.budget != _NO_BUDGET}
    shown_today: dict[str, int] = {}
    shown: dict[str, int] = {}
    evidence: dict[tuple[str, str], Evidence] = {}
    for one in known.totals:
        if one.offer_id in limited:
            shown_today[one.offer_id] = shown_today.get(one.offer_id, 0) + one.shown_today
            shown[one.offer_id] = shown.get(one.offer_id, 0) + one.shown
        offer = catalogue.offers.get(one.offer_id)
        levels = (
            ("offer", one.offer_id),
            ("category", (offer.category_id if offer else None) or ""),
            ("channel", one.channel_id),
        )
        for key in (*(level for level in levels if level[1]), ("global", "")):
            before = evidence.get(key, _NONE)
            evidence[key] = Evidence(before.positive + one.positive, before.negative + one.negative)
    known.stamp, known.shown_today, known.shown, known.evidence = catalogue.stamp, shown_today, shown, evidence


def _retrieve(task: asyncio.Task[_Known]) -> None:
    """Nobody may be waiting for a reading that failed; what was known holds, or the next request sees the error."""
    if not task.cancelled():
        task.exception()
