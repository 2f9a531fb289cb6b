from __future__ import annotations

import polars as pl
import pytest

from pipeline.batch import FetchedRecord, Partition
from pipeline.decode import decode_batch
from pipeline.tenant_cache import TenantCache
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES, Classification, OutcomeCategory, OutcomeType, group_versions
from rapport.domain.tenants import Tenant, TenantSettings
from rapport.kafka.sources import name_source
from rapport.storage.client import Store
from rapport.storage.tenants import (
    MAX_SELECTED,
    InvalidTenantIdError,
    TenantReader,
    UnknownTenantError,
    UnknownTimeZoneError,
    change_tenant,
    create_tenant,
    load_tenants,
)
from tests.fixtures.events import CLICK, to_json

OUTCOMES = group_versions(DEFAULT_OUTCOME_TYPES)


def count(store: Store, table: str) -> int:
    return int(store.client.query(f"SELECT count() FROM {table} FINAL").result_rows[0][0])


def test_a_new_database_has_no_tenants(store: Store):
    assert load_tenants(store) == {}


def test_a_tenant_starts_with_the_default_outcomes_in_utc(store: Store):
    create_tenant(store, "acme")
    assert load_tenants(store) == {"acme": Tenant("acme", "acme", "UTC", OUTCOMES)}


def test_a_tenant_has_the_name_and_time_zone_it_was_given(store: Store):
    create_tenant(store, "A-b_2.x", name='Ünïcode "Ltd"', time_zone="Europe/Berlin")
    create_tenant(store, "globex")
    assert load_tenants(store) == {
        "A-b_2.x": Tenant("A-b_2.x", 'Ünïcode "Ltd"', "Europe/Berlin", OUTCOMES),
        "globex": Tenant("globex", "globex", "UTC", OUTCOMES),
    }


@pytest.mark.parametrize(
    "tenant_id",
    ["", " ", "a:b", "a/b", "a b", "../a", "-a", ".a", "_a", "é", "a\x1b[2J", "a\n", "a" * 65, "a\0"],
)
def test_an_id_that_is_ambiguous_in_keys_and_paths_is_refused(store: Store, tenant_id: str):
    with pytest.raises(InvalidTenantIdError, match="letters, digits"):
        create_tenant(store, tenant_id)
    assert load_tenants(store) == {}


def test_creating_a_tenant_again_changes_its_name_only(store: Store):
    create_tenant(store, "acme", name="Acme", time_zone="Europe/Berlin")
    rows = count(store, "outcome_types")
    create_tenant(store, "acme", name="Acme Inc", time_zone="Asia/Tokyo")
    assert load_tenants(store)["acme"] == Tenant("acme", "Acme Inc", "Europe/Berlin", OUTCOMES)
    assert (count(store, "tenants"), count(store, "outcome_types")) == (1, rows)


@pytest.mark.parametrize("time_zone", ["", "Berlin", "Europe/Nowhere", "../etc/passwd", "UTC+1", " UTC", "\0"])
def test_a_time_zone_that_does_not_exist_is_refused(store: Store, time_zone: str):
    with pytest.raises(UnknownTimeZoneError, match="is not an IANA time zone such as Europe/Berlin"):
        create_tenant(store, "acme", time_zone=time_zone)
    assert (count(store, "tenants"), count(store, "outcome_types")) == (0, 0)


@pytest.mark.parametrize("time_zone", ["Europe", "America/Argentina"])
def test_a_folder_of_time_zones_is_refused(store: Store, time_zone: str):
    with pytest.raises(UnknownTimeZoneError):
        create_tenant(store, "acme", time_zone=time_zone)


def test_a_time_zone_that_the_stream_cannot_use_is_refused(store: Store):
    with pytest.raises(UnknownTimeZoneError):
        create_tenant(store, "acme", time_zone="Factory")


@pytest.mark.parametrize(
    "time_zone", ["UTC", "Etc/GMT+12", "Pacific/Kiritimati", "Europe/Kyiv", "US/Pacific", "EST5EDT"]
)
def test_the_stream_can_use_the_time_zones_that_are_accepted(store: Store, time_zone: str):
    create_tenant(store, "acme", time_zone=time_zone)
    tenant_cache = TenantCache(lambda: load_tenants(store), refresh_s=3_600)
    tenant_cache.refresh()
    partition = Partition("interactions", 0)
    records = {partition: [FetchedRecord(0, 1_773_585_000_000, None, to_json(CLICK))]}
    assert decode_batch(records, {partition: name_source("cluster", *partition, 0)}, tenant_cache).events.height == 1


def test_an_inactive_tenant_is_not_loaded(store: Store):
    create_tenant(store, "acme")
    create_tenant(store, "globex")
    store.insert("tenants", pl.DataFrame({"tenant_id": ["acme"], "is_active": [False]}))
    assert list(load_tenants(store)) == ["globex"]


def test_a_tenant_that_is_created_again_after_it_was_inactive_keeps_its_time_zone(store: Store):
    create_tenant(store, "acme", time_zone="Europe/Berlin")
    inactive = {"tenant_id": ["acme"], "time_zone": ["Europe/Berlin"], "is_active": [False]}
    store.insert("tenants", pl.DataFrame(inactive))
    create_tenant(store, "acme", time_zone="Asia/Tokyo")
    assert load_tenants(store)["acme"].time_zone == "Europe/Berlin"


def test_settings_without_a_column_of_their_own_are_kept_beside_the_others(store: Store):
    create_tenant(store, "acme")
    create_tenant(store, "globex")
    change_tenant(store, "acme", requires_consent=True, decision_quota=7)
    change_tenant(store, "acme", is_catalogue_strict=True)
    settings = {name: one.settings for name, one in load_tenants(store).items()}
    assert settings["acme"] == TenantSettings(requires_consent=True, decision_quota=7, is_catalogue_strict=True)
    assert settings["globex"] == TenantSettings()
    change_tenant(store, "acme", requires_consent=False)
    assert not load_tenants(store)["acme"].settings.requires_consent
    with pytest.raises(TypeError, match="requires_luck"):
        change_tenant(store, "acme", requires_luck=True)


def test_versions_of_an_outcome_are_loaded_in_the_order_they_take_effect(store: Store):
    create_tenant(store, "acme")
    versions = [("neutral", 2_000, True), ("negative", 1_000, True), ("negative", 3_000, False)]
    rows = [
        {
            "tenant_id": "acme",
            "key": "upsell",
            "version": n,
            "classification": classification,
            "category": "response",
            "is_active": is_active,
            "effective_at": effective_at,
        }
        for n, (classification, effective_at, is_active) in enumerate(versions)
    ]
    overrides = {"version": pl.UInt32, "effective_at": pl.Datetime("ms", "UTC")}
    store.insert("outcome_types", pl.DataFrame(rows, schema_overrides=overrides))

    def version(classification: Classification, effective_at_ms: int, *, is_active: bool = True) -> OutcomeType:
        return OutcomeType(
            key="upsell",
            classification=classification,
            category=OutcomeCategory.RESPONSE,
            effective_at_ms=effective_at_ms,
            is_active=is_active,
        )

    outcomes = load_tenants(store)["acme"].outcomes
    assert outcomes["upsell"] == (
        version(Classification.NEGATIVE, 1_000),
        version(Classification.NEUTRAL, 2_000),
        version(Classification.NEGATIVE, 3_000, is_active=False),
    )
    assert {key: outcomes[key] for key in OUTCOMES} == OUTCOMES


def test_outcomes_of_one_tenant_are_not_those_of_another(store: Store):
    create_tenant(store, "acme")
    create_tenant(store, "globex")
    row = {"tenant_id": "acme", "key": "upsell", "classification": "positive", "category": "response"}
    store.insert(
        "outcome_types",
        pl.DataFrame([row | {"effective_at": 0}], schema_overrides={"effective_at": pl.Datetime("ms", "UTC")}),
    )
    tenants = load_tenants(store)
    assert "upsell" in tenants["acme"].outcomes
    assert tenants["globex"].outcomes == OUTCOMES


def test_whatever_changes_is_read_again_and_nothing_else_is(store: Store):
    reader = TenantReader()
    assert reader.read(store) == {}
    tables = ("tenants", "outcome_types", "tenant_settings")
    for table in tables:  # a merge may have tenants read again that have not changed
        store.execute(f"SYSTEM STOP MERGES {table}")

    def set_active(tenant_id: str, *, is_active: bool) -> None:
        store.insert("tenants", pl.DataFrame({"tenant_id": [tenant_id], "is_active": [is_active]}))

    def add_outcome(tenant_id: str) -> None:
        row = {"tenant_id": tenant_id, "key": "nod", "version": 1, "classification": "positive", "category": "response"}
        store.insert("outcome_types", pl.DataFrame([row], schema_overrides={"version": pl.UInt32}))

    changes = (
        ("acme", lambda: create_tenant(store, "acme")),
        ("globex", lambda: create_tenant(store, "globex", time_zone="Europe/Berlin")),
        ("acme", lambda: create_tenant(store, "acme", name="Acme Inc")),
        ("globex", lambda: change_tenant(store, "globex", decision_quota=9)),
        ("acme", lambda: change_tenant(store, "acme", requires_consent=True)),
        ("acme", lambda: change_tenant(store, "acme", requires_consent=False)),
        ("globex", lambda: add_outcome("globex")),
        ("acme", lambda: set_active("acme", is_active=False)),
        ("acme", lambda: set_active("acme", is_active=True)),
    )
    for changed, change in changes:
        before = reader.read(store)
        change()
        after = reader.read(store)
        assert after == load_tenants(store)
        assert list(after) == sorted(after)
        assert after.get(changed) != before.get(changed)
        assert all(after[name] is before[name] for name in after if name != changed)
    for table in tables:
        store.execute(f"SYSTEM START MERGES {table}")
        store.execute(f"OPTIMIZE TABLE {table} FINAL")
        assert reader.read(store) == after
    for table in tables:
        store.execute(f"ALTER TABLE {table} DELETE WHERE tenant_id = 'globex' SETTINGS mutations_sync = 1")
    assert reader.read(store) == load_tenants(store) == {"acme": after["acme"]}


def test_more_tenants_than_a_query_names_are_all_read(store: Store):
    names = [f"tenant-{number:03}" for number in range(MAX_SELECTED + 1)]
    store.insert("tenants", pl.DataFrame({"tenant_id": names}))
    reader = TenantReader()
    assert list(reader.read(store)) == names
    change_tenant(store, "tenant-007", decision_quota=1)
    assert [name for name, one in reader.read(store).items() if one.settings.decision_quota] == ["tenant-007"]


def test_changing_an_unknown_tenant_names_the_known_ones(store: Store):
    with pytest.raises(UnknownTenantError, match="known are none"):
        change_tenant(store, "acme", decision_quota=1)
    create_tenant(store, "globex")
    with pytest.raises(UnknownTenantError, match="known are globex"):
        change_tenant(store, "acme", decision_quota=1)
