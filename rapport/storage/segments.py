"""Membership in segments: computed by ClickHouse, stored with the time of entry.

A refresh writes only changes, so that customers who stay in a segment keep ``member_since``. Two refreshes of one
segment at the same time reach the same members, some milliseconds apart, and the next refresh corrects what a late one
has missed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl
import structlog

from rapport.domain.conditions import Condition, ConditionError, compile_condition
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.number_text import NUMBER_PATTERN
from rapport.domain.periods import PeriodType, make_period_key, to_local_date
from rapport.domain.profiles.segments import COUNTS, FieldSource, SegmentField, list_metrics, parse_field
from rapport.storage.customer_reads import build_customer_parameters
from rapport.storage.identity import read_merges
from rapport.storage.metrics import build_metric_parameters
from rapport.storage.state_gaps import announce_change

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import MetricDefinition
    from rapport.domain.profiles.identity import Merges
    from rapport.domain.profiles.segments import Segment, SegmentFilter
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
FRAMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "segment_filters": {
        "number": pl.UInt32,
        **dict.fromkeys(("field", "source", "path", "operator", "fallback", "kind", "text", "needle"), pl.String),
    },
    "segment_people": {"customer_id": pl.String, "person": pl.String, "place": pl.UInt32},
    "segment_periods": {"period_key": pl.String},
}
"""Tables sent along with the queries."""
_MILLIS: Final = pl.Datetime("ms", "UTC")
_WITHOUT_EVENTS: Final = ("count", "sum")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRefresh:
    """The latest refresh of a segment.

    Attributes:
        version: Version of the segment whose filters were applied.
        customer_count: Number of members after the refresh.
    """

    segment_id: str
    version: int
    customer_count: int
    refreshed_at_ms: int


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that a customer is in."""

    segment_id: str
    segment_name: str
    member_since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A customer who is in a segment."""

    customer_id: str
    member_since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshContext:
    """Tenant settings and metrics that filters of its segments refer to.

    Attributes:
        metrics: Definitions by key. A filter by a missing one sees no value.
    """

    tenant_id: str
    time_zone: str
    metrics: Mapping[str, MetricDefinition]


def refresh_segment(
    store: Store, context: RefreshContext, segment: Segment, version: int, now_ms: int
) -> SegmentRefresh:
    """Compute the members of a segment, and record who has entered and who has left.

    Args:
        store: The database.
        context: The tenant's settings and metrics.
        segment: The segment, whatever its status.
        version: Version of the segment.
        now_ms: Epoch milliseconds.

    Raises:
        StorageError: The database does not answer, or refuses. Some changes may have been recorded.
    """
    changes = find_changes(store, context, segment, now_ms)
    if not changes.is_empty():
        moment = pl.lit(now_ms).cast(_MILLIS)
        store.insert(
            "segment_members",
            changes.select(
                pl.lit(context.tenant_id).alias("tenant_id"),
                "customer_id",
                pl.lit(segment.id).alias("segment_id"),
                pl.col("is_member").cast(pl.Boolean),
                moment.alias("member_since"),
                moment.alias("refreshed_at"),
            ),
        )
        announce_change(store, context.tenant_id, "segments", changes["customer_id"].to_list())
    (size,) = store.rows("segments/size", {"tenant_id": context.tenant_id, "segment_id": segment.id})
    done = SegmentRefresh(
        segment_id=segment.id, version=version, customer_count=size["customers"], refreshed_at_ms=now_ms
    )
    _write_refresh(store, context.tenant_id, done)
    return done


def find_changes(store: Store, context: RefreshContext, segment: Segment, now_ms: int) -> pl.DataFrame:
    """Find the customers who have entered or left a segment: customer_id, is_member."""
    keys = sorted(list_metrics(segment) & context.metrics.keys())
    definitions = [context.metrics[key] for key in keys]
    today = to_local_date(now_ms, context.time_zone)
    periods = {period: make_period_key(period, today) for period in PeriodType}
    return store.select(
        "segments/changes",
        {
            **build_metric_parameters(context.tenant_id, definitions, now_ms),
            "segment_id": segment.id,
            "needs_all": segment.combinator == "AND",
            "now_ms": now_ms,
            "number_pattern": NUMBER_PATTERN,
        },
        frames={
            "segment_filters": _filter_frame(segment, periods, definitions),
            "segment_periods": pl.DataFrame({"period_key": list(periods.values())}, schema=FRAMES["segment_periods"]),
            "segment_people": _people_frame(read_merges(store, context.tenant_id)),
        },
    )


def load_refresh_times(store: Store) -> dict[str, int]:
    """Load, for each active tenant with active segments, when the longest waiting of them was refreshed.

    Returns:
        Epoch milliseconds by tenant; 0 if a segment was not refreshed since it changed.
    """
    return {row["tenant_id"]: row["refreshed_at_ms"] for row in store.rows("segments/refresh_times")}


def load_changed_tenants(store: Store, seconds: int) -> dict[str, int]:
    """Load the tenants whose segments got a version within the latest seconds, with its time (epoch microseconds)."""
    rows = store.rows("segments/changed_tenants", {"seconds": seconds})
    return {row["tenant_id"]: row["changed_at_us"] for row in rows}


def load_refreshes(store: Store, tenant_id: str) -> dict[str, SegmentRefresh]:
    """Load the latest refresh of every segment of a tenant, by segment."""
    found = (SegmentRefresh(**row) for row in store.rows("segments/refreshes", {"tenant_id": tenant_id}))
    return {one.segment_id: one for one in found}


def list_members(store: Store, tenant_id: str, segment_id: str, *, after: str, limit: int) -> list[Member]:
    """List the members of a segment, ordered by id, beginning after the id ``after``."""
    parameters = {"tenant_id": tenant_id, "segment_id": segment_id, "after": after, "limit": limit}
    return [Member(**row) for row in store.rows("segments/members", parameters)]


def load_memberships(store: Store, keys: Sequence[CustomerKey]) -> list[Mapping[str, int]]:
    """Load the segments of some customers, in the order of the keys, with times of entry; inactive ones included."""
    found: dict[CustomerKey, dict[str, int]] = {}
    rows = store.select("segments/of_customers", build_customer_parameters(keys))
    for tenant_id, customer_id, segment_id, since_ms in rows.iter_rows():
        found.setdefault(CustomerKey(tenant_id, customer_id), {})[segment_id] = since_ms
    return [found.get(key, {}) for key in keys]


def list_memberships(store: Store, tenant_id: str, customer_ids: Collection[str]) -> list[Membership]:
    """List the active segments that any of a customer's ids is in, with the earliest entry; ordered by segment id."""
    since: dict[str, int] = {}
    for of_one in load_memberships(store, [CustomerKey(tenant_id, customer_id) for customer_id in customer_ids]):
        for segment_id, at_ms in of_one.items():
            since[segment_id] = min(at_ms, since.get(segment_id, at_ms))
    if not since:
        return []
    names = {row["segment_id"]: row["name"] for row in store.rows("segments/names", {"tenant_id": tenant_id})}
    return [
        Membership(segment_id=segment_id, segment_name=names[segment_id], member_since_ms=at_ms)
        for segment_id, at_ms in sorted(since.items())
        if segment_id in names
    ]


def count_overlaps(
    store: Store, tenant_id: str, segment_ids: Collection[str], sample_size: int
) -> Mapping[frozenset[str], int]:
    """Count, in a sample of the members of some segments, the customers by the exact set of segments they are in."""
    parameters = {"tenant_id": tenant_id, "segment_ids": sorted(segment_ids), "sample_size": sample_size}
    return {frozenset(row["segment_ids"]): row["customers"] for row in store.rows("segments/overlap", parameters)}


def _write_refresh(store: Store, tenant_id: str, refresh: SegmentRefresh) -> None:
    row = {
        "tenant_id": tenant_id,
        "segment_id": refresh.segment_id,
        "version": refresh.version,
        "customer_count": refresh.customer_count,
        "refreshed_at": refresh.refreshed_at_ms,
    }
    types: Mapping[str, Any] = {"version": pl.UInt32, "customer_count": pl.UInt64, "refreshed_at": _MILLIS}
    store.insert("segment_refreshes", pl.DataFrame([row], schema_overrides=types))


def _filter_frame(
    segment: Segment, periods: Mapping[PeriodType, str], definitions: Sequence[MetricDefinition]
) -> pl.DataFrame:
    """Build one row per value of each filter.

    A filter whose field cannot be read sees no value, like a missing one; a filter whose condition cannot be evaluated
    has no operator, and so matches no customer.
    """
    numbers = {definition.key: number for number, definition in enumerate(definitions)}
    rows: list[tuple[Any, ...]] = []
    for number, one in enumerate(segment.filters):
        field = parse_field(one.field)
        name, source, path, fallback = one.field, "", "", ""
        operator, values = (one.operator, _values(one)) if _is_evaluable(one) else ("", [("", "", "")])
        if isinstance(field, SegmentField):
            source, path = field.source.value, field.name
            if field.source is FieldSource.SUMMARY:
                name, fallback = f"summary.{periods[field.period]}.{field.name}", "0" if field.name in COUNTS else ""
            elif field.source is FieldSource.METRIC and field.name in numbers:
                name = f"metric.{numbers[field.name]}"
                is_zero = definitions[numbers[field.name]].aggregate_function in _WITHOUT_EVENTS
                fallback = "0" if is_zero else ""
        rows += [(number, name, source, path, operator, fallback, *value) for value in values]
    return pl.DataFrame(rows, schema=dict(FRAMES["segment_filters"]), orient="row")


def _people_frame(merges: Merges) -> pl.DataFrame:
    """Build the table of all ids of merged customers, with the canonical id of each."""
    people = dict.fromkeys(merges.members(one) for one in merges.aliases)
    rows = [(one, members[0], place) for members in people for place, one in enumerate(members)]
    return pl.DataFrame(rows, schema=dict(FRAMES["segment_people"]), orient="row")


def _is_evaluable(one: SegmentFilter) -> bool:
    try:
        compile_condition(Condition(field=one.field, operator=one.operator, value=one.value))
    except ConditionError as error:
        log.warning(
            "a filter of a segment cannot be evaluated and holds for no customer", field=one.field, error=str(error)
        )
        return False
    return True


def _values(one: SegmentFilter) -> list[tuple[str, str, str]]:
    """Return kind, compared value, and needle for texts, of each value of a filter; empty strings if it has none."""
    found: list[tuple[str, str, str]] = []
    for value in one.value if isinstance(one.value, list | tuple) else [one.value]:
        if value is None:
            found.append(("null", "", ""))
        elif isinstance(value, str):
            found.append(("text", value, value))
        else:
            found.append(("number", msgspec.json.encode(float(value)).decode(), str(value)))
    return found or [("", "", "")]
