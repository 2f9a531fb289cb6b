"""The column ``packed`` holds the values of the other columns, whatever the writer's settings and the row's age."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest

from pipeline.fold import STATE_SCHEMA
from rapport.domain.events import FIRST_ID
from rapport.domain.metrics import StoredEvent
from rapport.storage.customer_reads import read_events, read_stored_summaries
from rapport.storage.stream import write_summaries
from tests.storage.state_rows import state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.domain.summaries import StoredSummary
    from rapport.storage.client import Store

ODD: Final = 'it\'s "odd",\t\\ 日本 [1]\n/'
LARGEST: Final = 2**64 - 1
EVENT: Final = StoredEvent(
    tenant_id="acme",
    customer_id=ODD,
    id="018f",
    received_ms=1_773_585_000_007,
    category="response",
    occurred_ms=1_773_585_000_008,
    outcome=ODD,
    classification="positive",
    is_conversion=True,
    direction="inbound",
    offer_id=ODD,
    creative_id="",
    channel_id="web",
    conversion_value=Decimal("12345678901.234567"),
    recommendation_id=ODD,
    rank=3,
    source="cluster/interactions/0",
    offset=LARGEST,
)
QUOTED: Final = {"output_format_json_quote_64bit_integers": 1}


def write_event(store: Store, event: StoredEvent, settings: dict[str, Any]) -> None:
    value = "NULL" if event.conversion_value is None else "toDecimal64({conversion_value:String}, 6)"
    store.client.command(
        f"""
        INSERT INTO interaction_log (
            tenant_id, customer_id, id, received_at, category, occurred_at, outcome, classification, is_conversion,
            direction, offer_id, creative_id, channel_id, conversion_value, recommendation_id, rank, source, offset
        )
        SELECT {{tenant_id:String}}, {{customer_id:String}}, {{id:String}},
            fromUnixTimestamp64Milli({{received_ms:Int64}}), {{category:String}},
            fromUnixTimestamp64Milli({{occurred_ms:Int64}}), {{outcome:String}}, {{classification:String}},
            {{is_conversion:Bool}}, {{direction:String}}, {{offer_id:String}}, {{creative_id:String}},
            {{channel_id:String}}, {value}, {{recommendation_id:String}}, {{rank:UInt16}}, {{source:String}},
            {{offset:UInt64}}
        """,
        parameters={**event._asdict(), "conversion_value": str(event.conversion_value)},
        settings=settings,
    )


def events_of(store: Store, *customers: str, from_id: str = FIRST_ID) -> list[StoredEvent]:
    return list(read_events(store, {("acme", customer) for customer in customers}, from_id).events)


def drop_column(store: Store, table: str) -> str:
    """Drop the column, as in an older database; return the statement that adds it again."""
    columns = "SELECT default_expression FROM system.columns WHERE database = currentDatabase() AND name = 'packed'"
    expression = store.client.raw_query(f"{columns} AND table = '{table}'", fmt="TabSeparatedRaw").decode().strip()
    store.execute(f"ALTER TABLE {table} DROP COLUMN packed")
    return f"ALTER TABLE {table} ADD COLUMN packed String MATERIALIZED {expression}"


@pytest.mark.parametrize("settings", [{}, QUOTED], ids=["plain", "quoted"])
@pytest.mark.parametrize("event", [EVENT, EVENT._replace(conversion_value=None, rank=0, is_conversion=False)])
def test_an_event_is_read_as_it_was_written(store: Store, event: StoredEvent, settings: dict[str, Any]):
    write_event(store, event, settings)
    assert events_of(store, ODD) == [event]
    assert events_of(store, "ann") == []


def test_events_are_read_from_an_id_on(store: Store):
    later = EVENT._replace(id="0190", category="recommendation")
    for event in (EVENT, later):
        write_event(store, event, {})
    assert sorted(events_of(store, ODD)) == [EVENT, later]
    assert events_of(store, ODD, from_id=later.id) == [later]


def test_an_event_written_before_the_column_existed_is_read(store: Store):
    adding = drop_column(store, "interaction_log")
    write_event(store, EVENT, {})
    store.execute(adding)
    assert events_of(store, ODD) == [EVENT]


ODD_ROW: Final = {
    "customer_id": ODD,
    "offer_id": ODD,
    "total_value": Decimal("12345678901234567890123456789012.123456"),
    "last_outcome": ODD,
    "impressions": LARGEST,
}


def check_row(store: Store) -> None:
    (row,) = read_stored_summaries(store, [("acme", ODD)])
    (wanted,) = state(7, **ODD_ROW).rows(named=True)
    named = {name.replace("last_contact_ms", "last_contact_at_ms"): value for name, value in row._asdict().items()}
    assert named == {**wanted, "stored_at_ms": row.stored_at_ms}


def test_a_summary_row_is_read_as_it_was_written(store: Store):
    write_summaries(store, state(7, **ODD_ROW))
    check_row(store)


def test_a_summary_row_is_the_same_whatever_the_writers_settings(store: Store):
    write_summaries(store, state(7, **ODD_ROW))
    columns = ", ".join(name.removesuffix("_ms") for name in STATE_SCHEMA.names())
    store.client.command(
        f"INSERT INTO interaction_summary_state ({columns}) SELECT {columns} FROM interaction_summary_state",
        settings=QUOTED,
    )
    check_row(store)


def test_a_summary_row_written_before_the_column_existed_is_read(store: Store):
    adding = drop_column(store, "interaction_summary_state")
    write_summaries(store, state(7, **ODD_ROW))
    store.execute(adding)
    check_row(store)


def test_some_or_all_periods_of_a_customer_are_read(store: Store):
    for key in ("alltime", "2026-03", "2026-04"):
        write_summaries(store, state(7, period_key=key))
    ann = [("acme", "ann")]
    assert periods_of(read_stored_summaries(store, ann)) == ["2026-03", "2026-04", "alltime"]
    assert periods_of(read_stored_summaries(store, ann, ["2026-04", "alltime", "2027-01"])) == ["2026-04", "alltime"]


def periods_of(rows: Iterable[StoredSummary]) -> list[str]:
    return sorted(row.period_key for row in rows)


def test_customers_are_read_for_their_own_tenant_only(store: Store):
    for tenant, customer in (("acme", "ann"), ("acme", "bob"), ("globex", "ann")):
        write_summaries(store, state(7, tenant_id=tenant, customer_id=customer))
        write_event(store, EVENT._replace(tenant_id=tenant, customer_id=customer, id=f"{tenant}{customer}"), {})
    asked = {("acme", "bob"), ("globex", "ann")}
    assert {row[:2] for row in read_stored_summaries(store, asked)} == asked
    found = read_events(store, asked, FIRST_ID).events
    assert {event.customer for event in found} == asked
