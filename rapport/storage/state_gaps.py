"""Changes of customers, announced to the customer states in Valkey (:mod:`rapport.state.customer_states`).

Every function that changes what decisions read of a customer announces it once the tables have been written. A change
that cannot be announced to Valkey is recorded as a gap in ClickHouse; readers of states, who look at the gaps several
times a second, then know no state of the tenant any more.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from rapport.storage.client import Store

ALL_TENANTS: Final = ""
"""Stands for all tenants in a gap."""
KNOWN_AFTER_S: Final = 1.0
"""Longer than a reader of states goes without looking at the gaps (:data:`api.runtime.watermark.MAX_VIEW_AGE_S`)."""


class StreamView(NamedTuple):
    """Progress of the stream, and gaps of the customer states, at one moment.

    Attributes:
        progress: Offset at which the next batch of each source starts; unknown sources are left out.
        gaps: By tenant, a number that differs whenever there is another gap.
    """

    progress: Mapping[str, int]
    gaps: Mapping[str, int]


def announce_change(store: Store, tenant_id: str, reason: str, customer_ids: Collection[str] | None = None) -> None:
    """Announce that the tables show another state of customers than before; returns when no reader uses the old one.

    A process that does not know of the states cannot wait for their readers: they see the change within
    :data:`KNOWN_AFTER_S`.

    Args:
        store: The database.
        tenant_id: Tenant of the customers.
        reason: What has changed.
        customer_ids: The customers; None if they are not known.

    Raises:
        StorageError: Neither Valkey nor ClickHouse answers. The change is made, but readers may not see it.
    """
    announcer = store.announcer
    if customer_ids is not None and (
        not customer_ids or (announcer is not None and announcer.forget_states(tenant_id, customer_ids))
    ):
        return
    store.insert("state_gaps", pl.DataFrame([{"tenant_id": tenant_id, "reason": reason}]))
    if announcer is not None and announcer.has_states:
        time.sleep(KNOWN_AFTER_S)


def read_stream_view(store: Store, sources: Sequence[str]) -> StreamView:
    """Read the progress of some sources and all gaps, with one query."""
    progress: dict[str, int] = {}
    gaps: dict[str, int] = {}
    for kind, name, value in store.select("stream/watermark", {"sources": list(sources)}).iter_rows():
        (progress if kind == "source" else gaps)[name] = value
    return StreamView(progress, gaps)
