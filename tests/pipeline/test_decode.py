from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch import FetchedRecord, Partition
from pipeline.decode import DECISION_SCHEMA, EVENT_SCHEMA, DecodedBatch, decode_batch
from pipeline.tenant_cache import TenantCache
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES, Classification, OutcomeCategory, OutcomeType, group_versions
from rapport.domain.periods import to_local_date
from rapport.domain.rejections import RejectionCode
from rapport.domain.tenants import Tenant
from rapport.kafka.sources import name_source
from rapport.storage.stream import write_interactions
from tests.fixtures.contacts import ZONES
from tests.fixtures.events import CLICK, DECISION, json_values, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.storage.client import Store

LAW = settings(max_examples=50, deadline=None)
NOW = 1_773_585_000_000
INSTANTS = st.integers(10**12, NOW)
"""Since 2001: smaller numbers may be taken for seconds or dates."""
P0, P1 = Partition("interactions", 0), Partition("interactions", 1)
SOURCES = {partition: name_source("cluster", *partition, 0) for partition in (P0, P1)}
REFUND = OutcomeType(
    key="refund", classification=Classification.NEUTRAL, category=OutcomeCategory.RESPONSE, allows_negative_value=True
)
OUTCOMES = group_versions([*DEFAULT_OUTCOME_TYPES, REFUND])
TENANTS = {tenant: Tenant(tenant, tenant, zone, OUTCOMES) for tenant, zone in ZONES.items()}


def make_tenant_cache(tenants: Mapping[str, Tenant] = TENANTS) -> TenantCache:
    tenant_cache = TenantCache(lambda: tenants, refresh_s=10)
    tenant_cache.refresh()
    return tenant_cache


def record(value: object, offset: int = 0, *, at: int = NOW, key: bytes | None = b"acme:ann") -> FetchedRecord:
    return FetchedRecord(offset, at, key, value if isinstance(value, bytes) else to_json(value))


def decode(*records: FetchedRecord, tenant_cache: TenantCache | None = None) -> DecodedBatch:
    return decode_batch({P0: records}, SOURCES, tenant_cache or make_tenant_cache())


def only_event(value: Mapping[str, object]) -> dict[str, Any]:
    found = decode(record(value))
    assert found.dead_letters == []
    return found.events.row(0, named=True)


def test_an_event_gets_the_meaning_of_its_outcome():
    row = only_event({**CLICK, "outcome": "convert"})
    assert (row["classification"], row["category"], row["is_conversion"]) == ("positive", "response", True)


@pytest.mark.parametrize(("outcome", "direction"), [("impression", "outbound"), ("click", "inbound")])
def test_the_direction_follows_the_outcome_unless_the_event_names_one(outcome: str, direction: str):
    assert only_event({**CLICK, "outcome": outcome})["direction"] == direction
    assert only_event({**CLICK, "outcome": outcome, "direction": "outbound"})["direction"] == "outbound"


def test_missing_fields_are_empty_and_the_time_is_the_brokers():
    row = only_event(CLICK)
    empty = ("offer_id", "creative_id", "channel_id", "placement_id", "recommendation_id", "context", "metadata")
    assert {row[name] for name in (*empty, "outcome_details")} == {""}
    assert (row["rank"], row["conversion_value"]) == (0, None)
    assert row["occurred_at_ms"] == row["received_at_ms"] == NOW


@pytest.mark.parametrize("nothing", [{}, {"context": None, "offerId": None, "rank": None, "conversionValue": None}])
def test_null_is_the_same_as_a_missing_field(nothing: dict[str, None]):
    row = only_event({**CLICK, **nothing})
    assert (row["context"], row["offer_id"], row["rank"], row["conversion_value"]) == ("", "", 0, None)


def test_every_field_of_an_event_is_kept():
    fields = {
        "offerId": "o",
        "creativeId": "cr",
        "channelId": "ch",
        "placementId": "p",
        "direction": "outbound",
        "timestamp": "2026-03-01T12:00:00Z",
        "conversionValue": 12.34,
        "recommendationId": "r",
        "rank": 3,
        "context": {"a": 1},
        "outcomeDetails": {"b": 2},
        "metadata": {"c": 3},
        "unknown": 4,
    }
    row = only_event({**CLICK, **fields})
    assert row["occurred_at_ms"] == round(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)
    names = ("offer_id", "creative_id", "channel_id", "placement_id", "direction", "recommendation_id", "rank")
    assert [row[name] for name in names] == ["o", "cr", "ch", "p", "outbound", "r", 3]
    assert row["conversion_value"] == Decimal("12.34")
    free_form = [json.loads(row[name]) for name in ("context", "outcome_details", "metadata")]
    assert free_form == [{"a": 1}, {"b": 2}, {"unknown": 4, "c": 3}]


@LAW
@given(micros=st.integers(-(10**15), 10**15))
def test_values_are_exact_to_six_decimals(micros: int):
    value = Decimal(micros) / 1_000_000
    text = to_json({**CLICK, "outcome": "refund"})[:-1] + f',"conversionValue":{value:f}}}'.encode()
    assert decode(record(text)).events["conversion_value"].item() == value


@LAW
@given(times=st.lists(st.tuples(st.sampled_from(sorted(ZONES)), INSTANTS), min_size=1, max_size=20))
def test_an_event_lies_on_the_calendar_day_of_its_tenants_time_zone(times: list[tuple[str, int]]):
    events = [
        {**CLICK, "tenantId": tenant, "timestamp": at, "idempotencyKey": str(n)} for n, (tenant, at) in enumerate(times)
    ]
    found = decode(record(events)).events
    assert found["local_date"].to_list() == [to_local_date(at, ZONES[tenant]) for tenant, at in times]


def test_the_days_of_every_time_zone_are_those_of_the_domain():
    unknown_to_polars = {"Factory", "localtime"}
    zones = sorted(available_timezones() - unknown_to_polars)
    # Around a change of clocks in the north, one in the south, and new year.
    days = [date(2025, 3, 30), date(2018, 11, 4), date(2025, 12, 31)]
    noons = [datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() for day in days]
    times = [round(noon + hours * 3_600) * 1000 for noon in noons for hours in range(-14, 15, 4)]
    tenants = {zone: Tenant(zone, zone, zone, OUTCOMES) for zone in zones}
    events = [{**CLICK, "tenantId": zone, "timestamp": at} for zone in zones for at in times]
    found = decode(record(events), tenant_cache=make_tenant_cache(tenants)).events
    assert found["local_date"].to_list() == [to_local_date(at, zone) for zone in zones for at in times]


def test_an_event_has_the_source_and_offset_of_its_message():
    found = decode_batch({P0: [record([CLICK, CLICK], 7)], P1: [record(CLICK, 3)]}, SOURCES, make_tenant_cache()).events
    assert list(found.select("source", "offset", "item").iter_rows()) == [
        ("cluster/interactions/0", 7, 0),
        ("cluster/interactions/0", 7, 1),
        ("cluster/interactions/1", 3, 0),
    ]


def test_ids_are_the_same_in_a_replay_and_differ_between_offsets():
    records = [record([CLICK, CLICK], offset) for offset in (0, 1, 2**40)]
    first = decode_batch({P0: records, P1: records}, SOURCES, make_tenant_cache()).events["id"]
    again = decode_batch({P1: records, P0: records}, SOURCES, make_tenant_cache()).events["id"]
    assert set(first) == set(again)
    assert first.n_unique() == len(first) == 12


def test_ids_of_a_recreated_topic_differ():
    anew = {partition: name_source("cluster", *partition, 1) for partition in SOURCES}
    one, other = (
        decode_batch({P0: [record(CLICK)]}, sources, make_tenant_cache()).events for sources in (SOURCES, anew)
    )
    assert one["source"].item() != other["source"].item()
    assert one["id"].item() != other["id"].item()


@LAW
@given(times=st.lists(INSTANTS, min_size=1, max_size=20))
def test_ids_sort_by_time_and_then_by_offset(times: list[int]):
    found = decode(*[record({**CLICK, "timestamp": at}, offset) for offset, at in enumerate(times)]).events
    by_time = found.sort("occurred_at_ms", "offset")
    assert found.sort("id")["offset"].to_list() == by_time["offset"].to_list()
    assert {len(found_id) for found_id in found["id"]} == {38}


def test_a_repetition_has_the_same_hashes_and_another_payload_another():
    events = [CLICK, CLICK, {**CLICK, "offerId": "o"}, {**CLICK, "idempotencyKey": "k2"}]
    found = decode(*[record(event, offset) for offset, event in enumerate(events)]).events
    keys, payloads = found["key_hash"].to_list(), found["payload_hash"].to_list()
    assert [keys.index(key) for key in keys] == [0, 0, 0, 3]
    assert [payloads.index(payload) for payload in payloads] == [0, 0, 2, 3]


FULL = {
    **CLICK,
    "timestamp": "2026-03-01T12:00:00Z",
    "conversionValue": 1,
    "context": {"a": 1, "b": [1.0, 100, "é"], "c": {"x": None, "y": True}},
    "metadata": {"id": 9_007_199_254_740_993, "price": 0.1},
}
NOON_MS = 1_772_366_400_000
SAME_AS_FULL = [
    json.dumps(FULL, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(),
    json.dumps({name: FULL[name] for name in reversed(FULL)}, indent=2).encode(),
    to_json({**FULL, "conversionValue": 1.0, "context": {"c": {"y": True, "x": None}, "b": [1, 1e2, "é"], "a": 1.0}}),
    to_json({**FULL, "offerId": None, "channelId": "", "outcomeDetails": None, "type": "interaction.recorded.v1"}),
    to_json({name: value for name, value in FULL.items() if name != "metadata"} | FULL["metadata"]),
    *(
        to_json({**FULL, "timestamp": at})
        for at in ("2026-03-01T12:00:00.000+00:00", "2026-03-01T13:00:00+01:00", NOON_MS, float(NOON_MS))
    ),
    to_json(FULL).replace(b"0.1}", b"1.0E-1}").replace(b'"a":', b'"\\u0061":'),
]
OTHER_THAN_FULL = [
    {**FULL, "timestamp": NOON_MS + 1},
    {name: value for name, value in FULL.items() if name != "timestamp"},
    {**FULL, "conversionValue": 2},
    {**FULL, "offerId": "o"},
    {**FULL, "metadata": {"id": 9_007_199_254_740_992, "price": 0.1}},
    {**FULL, "metadata": {"id": "9007199254740993", "price": 0.1}},
    {**FULL, "context": {"a": 1, "b": [100, 1, "é"], "c": {"x": None, "y": True}}},
    {**FULL, "context": {"a": 1, "b": [1, 100, "é"], "c": {"y": True}}},
    {**FULL, "outcomeDetails": FULL["context"], "context": None},
]


def test_a_plain_event_in_another_serialisation_has_the_same_hash():
    texts = [CLICK, {**CLICK, "type": "interaction.recorded.v1"}, {**CLICK, "channelId": "", "metadata": None}]
    assert decode(*[record(text, n) for n, text in enumerate(texts)]).events["payload_hash"].n_unique() == 1


def test_an_event_in_another_serialisation_has_the_same_hash():
    """AWS Powertools#638: a retry that serialises anew was taken for another request."""
    texts = [to_json(FULL), *SAME_AS_FULL, *map(to_json, OTHER_THAN_FULL)]
    found = decode(*[record(text, offset) for offset, text in enumerate(texts)])
    assert found.dead_letters == []
    hashes = found.events["payload_hash"].to_list()
    same = len(SAME_AS_FULL) + 1
    assert [hashes.index(payload) for payload in hashes] == [0] * same + list(range(same, len(texts)))


@LAW
@given(value=st.dictionaries(st.text(max_size=8), json_values, max_size=4), data=st.data())
def test_the_order_of_keys_makes_no_difference(value: dict[str, Any], data: st.DataObject):
    def shuffled(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: shuffled(part[key]) for key in data.draw(st.permutations(list(part)))}
        return [shuffled(item) for item in part] if isinstance(part, list) else part

    texts = [{**CLICK, "metadata": value}, {"metadata": shuffled(value), **CLICK}]
    assert decode(*[record(text, n) for n, text in enumerate(texts)]).events["payload_hash"].n_unique() == 1


FAULTS = [
    (b"", RejectionCode.EMPTY, ""),
    (b"\xff", RejectionCode.BAD_UTF8, ""),
    (b"{", RejectionCode.BAD_JSON, ""),
    (b"7", RejectionCode.NOT_AN_OBJECT, ""),
    (to_json({"tenantId": "acme"}), RejectionCode.MISSING_FIELD, "acme"),
    (to_json({**CLICK, "rank": 0}), RejectionCode.INVALID_FIELD, "acme"),
    (to_json({**CLICK, "type": "x"}), RejectionCode.UNKNOWN_TYPE, "acme"),
    (to_json({**CLICK, "timestamp": "x"}), RejectionCode.INVALID_TIMESTAMP, "acme"),
    (to_json({**CLICK, "timestamp": NOW + 86_400_001}), RejectionCode.TIMESTAMP_OUT_OF_RANGE, "acme"),
    (to_json({**DECISION, "timestamp": -1}), RejectionCode.TIMESTAMP_OUT_OF_RANGE, "acme"),
    (to_json({**CLICK, "conversionValue": -1}), RejectionCode.INVALID_VALUE, "acme"),
    (to_json({**CLICK, "tenantId": "nobody"}), RejectionCode.UNKNOWN_TENANT, "nobody"),
    (to_json({**DECISION, "tenantId": "nobody"}), RejectionCode.UNKNOWN_TENANT, "nobody"),
    (to_json({**CLICK, "outcome": "frown"}), RejectionCode.UNKNOWN_OUTCOME, "acme"),
]


@pytest.mark.parametrize(("value", "code", "tenant_id"), FAULTS)
def test_an_unusable_message_becomes_a_dead_letter_with_its_reason_offset_and_bytes(
    value: bytes, code: RejectionCode, tenant_id: str
):
    found = decode(record(CLICK, 6), record(value, 7))
    (letter,) = found.dead_letters
    assert (letter.code, letter.tenant_id, letter.key, letter.value) == (code.value, tenant_id, b"acme:ann", value)
    assert (letter.source, letter.topic, letter.partition) == ("cluster/interactions/0", "interactions", 0)
    assert (letter.id, letter.received_at_ms) == ("cluster/interactions/0:7:0", NOW)
    assert found.events.height == 1


def test_a_message_without_value_or_key_is_a_dead_letter_too():
    (letter,) = decode(FetchedRecord(7, -1, None, None)).dead_letters
    assert (letter.code, letter.key, letter.value, letter.received_at_ms) == ("empty_value", b"", b"", 0)


def test_a_bad_item_of_an_array_leaves_the_others_alone():
    found = decode(record([CLICK, {"tenantId": "acme"}, {**CLICK, "outcome": "frown"}, CLICK]))
    assert found.events["item"].to_list() == [0, 3]
    assert [(letter.item, letter.code) for letter in found.dead_letters] == [
        (1, "missing_field"),
        (2, "unknown_outcome"),
    ]
    assert found.dead_letters[0].value == to_json({"tenantId": "acme"})


def test_the_reason_for_an_unknown_outcome_or_tenant_names_the_remedy():
    outcome, tenant = decode(record([{**CLICK, "outcome": "frown"}, {**CLICK, "tenantId": "nobody"}])).dead_letters
    assert "click, complaint, conversion" in outcome.detail
    assert "rapport tenant create nobody" in tenant.detail


@LAW
@given(values=st.lists(st.sampled_from([CLICK, DECISION, *(f[0] for f in FAULTS)]) | json_values, max_size=8))
def test_every_item_becomes_an_event_a_decision_or_a_dead_letter(values: list[object]):
    records = [record(value, offset) for offset, value in enumerate(values)]
    items = sum(len(value) if isinstance(value, list) else 1 for value in values)
    found = decode(*records)
    assert found.events.height + found.decisions.height + len(found.dead_letters) == items


def test_a_new_tenant_or_outcome_is_loaded_before_it_counts_as_unknown():
    known: dict[str, Tenant] = {}
    tenant_cache = TenantCache(
        lambda: dict(known), refresh_s=3_600, monotonic=lambda: 0.0
    )  # however little time has passed
    tenant_cache.refresh()
    upsell = OutcomeType(key="upsell", classification=Classification.POSITIVE, category=OutcomeCategory.RESPONSE)
    known["acme"] = replace(TENANTS["acme"], outcomes=group_versions([upsell]))
    assert decode(record({**CLICK, "outcome": "upsell"}), tenant_cache=tenant_cache).dead_letters == []
    known["globex"] = replace(TENANTS["acme"], tenant_id="globex")
    assert decode(record({**DECISION, "tenantId": "globex"}), tenant_cache=tenant_cache).decisions.height == 1


def test_unknown_tenants_and_outcomes_are_loaded_once_a_batch():
    looks = Counter[str]()

    def load() -> Mapping[str, Tenant]:
        looks["done"] += 1
        return TENANTS

    tenant_cache = TenantCache(load, refresh_s=3_600)
    tenant_cache.refresh()
    assert len(decode(record([{**CLICK, "tenantId": "nobody"}] * 50), tenant_cache=tenant_cache).dead_letters) == 50
    assert looks["done"] == 2


def test_decisions_are_kept_apart_from_events():
    value = {**DECISION, "timestamp": NOW - 1, "decision": {"offers": [1]}}
    found = decode(record(value, 5))
    assert found.events.is_empty()
    row = ("acme", "ann", "r1", NOW - 1, NOW, '{"offers": [1]}', "cluster/interactions/0", 5)
    assert found.decisions.rows() == [row]


def test_an_empty_batch_has_all_columns():
    empty, full = decode(), decode(record([CLICK, DECISION]))
    assert empty.events.schema == full.events.schema
    assert set(empty.events.columns) == {*EVENT_SCHEMA, "local_date"}
    assert empty.decisions.schema == full.decisions.schema == DECISION_SCHEMA


@pytest.mark.parametrize(
    ("tenant", "timestamp", "received_at"),
    [
        ("acme", 0, NOW),
        ("kiwi", 0, NOW),
        ("yank", 0, NOW),  # the day before 1970 in New York
        ("acme", None, 4_102_444_800_000),
        ("acme", None, 5_700_000_000_000),  # a producer's clock, in 2150
        ("acme", None, NOW * 1000),  # microseconds taken for milliseconds
    ],
)
def test_accepted_events_can_be_written(store: Store, tenant: str, timestamp: int | None, received_at: int):
    found = decode(record({**CLICK, "tenantId": tenant, "timestamp": timestamp}, at=received_at))
    write_interactions(store, found.events)
    written = store.client.query("SELECT count() FROM interactions").result_rows[0][0]
    assert written + len(found.dead_letters) == 1
