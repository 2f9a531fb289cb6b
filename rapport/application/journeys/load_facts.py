"""Loading of customers' facts for the formulas of journeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.application.decisions.load_facts import ContextQuery, load_contexts
from rapport.domain.journeys.progress import JourneyFacts
from rapport.storage.identity import read_merges
from rapport.storage.metrics import read_metrics

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.tenants import Tenant
    from rapport.storage.client import Store


def load_facts(
    store: Store,
    tenant: Tenant,
    catalogue: Catalogue,
    customers: Collection[str],
    metrics: Collection[str],
    now_ms: int,
) -> Mapping[str, JourneyFacts]:
    """Load the facts of some customers, with a few queries.

    Args:
        store: The database.
        tenant: The tenant.
        catalogue: Names the active segments and defines the metrics.
        customers: The customer ids.
        metrics: Keys of the metrics to compute; unknown ones have no value.
        now_ms: End of the metrics' windows, epoch milliseconds.
    """
    names = sorted(customers)
    merges = read_merges(store, tenant.tenant_id)
    queries = [
        ContextQuery(
            tenant=tenant,
            members=merges.members(name),
            segments=catalogue.segments,
            sources=catalogue.attribute_sources,
        )
        for name in names
    ]
    contexts = dict(zip(names, load_contexts(store, queries), strict=True))
    definitions = [catalogue.metrics[key] for key in sorted(metrics) if key in catalogue.metrics]
    values = read_metrics(store, tenant.tenant_id, {name: merges.members(name) for name in names}, definitions, now_ms)
    return {
        name: JourneyFacts(
            attributes=contexts[name].attributes, segments=contexts[name].segments, metrics=values.get(name, {})
        )
        for name in names
    }
