"""Totals of a tenant's offers over all customers."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from rapport.domain.decisions.tenant_totals import OfferTotals
from rapport.domain.periods import PeriodType, make_period_key

if TYPE_CHECKING:
    from rapport.storage.client import Store


def read_offer_totals(store: Store, tenant_id: str, today: date) -> list[OfferTotals]:
    """Add up a tenant's summaries over all customers. Reads them all: callers cache the result.

    Args:
        store: The database.
        tenant_id: The tenant.
        today: The tenant's calendar day, in its time zone.
    """
    parameters = {
        "tenant_id": tenant_id,
        "today": make_period_key(PeriodType.DAILY, today),
        "tomorrow": make_period_key(PeriodType.DAILY, today + timedelta(days=1)),
    }
    found = store.select("decisions/tenant", parameters)
    return [OfferTotals(**row) for row in found.iter_rows(named=True)] if not found.is_empty() else []
