from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from rapport.storage.client import _external_data
from rapport.storage.customers import FRAMES as CUSTOMER_FRAMES
from rapport.storage.journeys import FRAMES as JOURNEY_FRAMES
from rapport.storage.long_histories import FRAMES as LONG_HISTORY_FRAMES
from rapport.storage.metrics import CUSTOMERS as METRIC_CUSTOMERS
from rapport.storage.queries import SQL_DIR, load_query
from rapport.storage.segments import FRAMES as SEGMENT_FRAMES
from rapport.storage.stream import FRAMES as STREAM_FRAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rapport.storage.client import Store

NAMES = sorted(
    path.relative_to(SQL_DIR / "queries").with_suffix("").as_posix() for path in (SQL_DIR / "queries").rglob("*.sql")
)
VALUES: Mapping[str, Any] = {
    "String": "it's",
    "Array(String)": ["it's", "b"],
    "UInt32": 1,
    "UInt64": 1,
    "Int64": 1,
    "Int32": 1,
    "Array(UInt32)": [7, 8],
    "Array(UInt64)": [7],
    "Array(Int64)": [7],
    "Array(Tuple(UInt32, String, String, String, UInt32, UInt32))": [(0, "count", "*", "", 1, 0)],
    "Array(Tuple(UInt32, String, String))": [(0, "outcome", "it's")],
    "Bool": True,
    "Identifier": "schema_migrations",
    "Date": "2026-01-01",
    "DateTime64(3, 'UTC')": "2026-01-01 00:00:00.000",
}
ANY_TABLE = {"table": "decisions", "column": "customer_id", "since": "received_at"}
ALL_FRAMES = STREAM_FRAMES | CUSTOMER_FRAMES | SEGMENT_FRAMES | JOURNEY_FRAMES | LONG_HISTORY_FRAMES
CUSTOMERS = {"tenant_id": pl.String, "customer_id": pl.String}
FRAMES = {
    "batch_keys": {"source": pl.String, "key_hash": pl.UInt64},
    "batch_starts": {"source": pl.String, "first_offset": pl.UInt64},
    "metric_customers": dict(METRIC_CUSTOMERS),
    "disputed": {**CUSTOMERS, "source": pl.String, "offset": pl.UInt64},
    "progress": {"source": pl.String, "next_offset": pl.UInt64},
    "suspects": CUSTOMERS,
    **{name: dict(schema) for name, schema in ALL_FRAMES.items()},
}
ROWS = 100_000
CUSTOMER_COUNT = 20_000
ONE_CUSTOMER = {"tenant_id": ["t1"], "customer_id": ["c7"]}


def statement_of(name: str) -> str:
    return re.sub(r"--.*", "", load_query(name)).strip()


def list_parameters(name: str) -> dict[str, Any]:
    """Return a value for each parameter of a query."""
    found = re.findall(r"\{(\w+):([^}]+)\}", statement_of(name))
    return {parameter: _identifier(name, parameter) or VALUES[kind] for parameter, kind in found}


def _identifier(name: str, parameter: str) -> str:
    """Return the identifier for a parameter that names a table or column, in the queries about any table."""
    of_arrays = {"table": "contact_profile_versions", "column": "customer_ids", "since": "changed_at"}
    return (of_arrays if name.endswith("_in_arrays") else ANY_TABLE).get(parameter, "")


@pytest.mark.parametrize("name", [name for name in NAMES if statement_of(name).startswith(("SELECT", "WITH"))])
def test_a_query_runs_on_the_newest_schema_with_its_parameters_bound(store: Store, name: str):
    frames = {frame: pl.DataFrame(schema=schema) for frame, schema in FRAMES.items() if frame in statement_of(name)}
    store.select(name, list_parameters(name), frames=frames)


@pytest.mark.parametrize("name", [name for name in NAMES if not statement_of(name).startswith(("SELECT", "WITH"))])
def test_a_command_parses_with_its_parameters_bound(store: Store, name: str):
    assert statement_of(name).startswith(("INSERT", "CREATE", "ALTER"))
    tree = store.client.raw_query(f"EXPLAIN AST {load_query(name)}", parameters=list_parameters(name))
    assert tree.startswith((b"InsertQuery", b"CreateQuery", b"AlterQuery"))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_begins_with_a_comment_and_the_query_is_loaded_without_it(name: str):
    text = (SQL_DIR / "queries" / f"{name}.sql").read_text("utf-8")
    assert re.match(r"-- [A-Z].{10,}\n", text)
    assert text.endswith(load_query(name))
    assert "-- " not in load_query(name)[:3]


def test_no_query_formats_a_value_into_its_text():
    for name in NAMES:
        assert "%s" not in load_query(name)
        assert not re.search(r"\{\w*\}|\{\{", load_query(name)), name


def test_the_frames_of_this_test_are_those_that_queries_join():
    text = " ".join(statement_of(name) for name in NAMES)
    assert [name for name in FRAMES if not re.search(rf"(FROM|JOIN|IN) {name}\b", text)] == []


FILL = """
INSERT INTO event_claims (tenant_id, customer_id, key_hash, source, offset, item, payload_hash, received_at)
SELECT 't' || number % 3, 'c' || number % {customers:UInt32}, number, 's' || number % 4, number, 0, 0, now64(3)
FROM numbers({rows:UInt32});
INSERT INTO interaction_log (tenant_id, customer_id, id, source, offset, item, occurred_at, received_at, local_date)
SELECT 't' || number % 3, 'c' || number % {customers:UInt32}, hex(number), 's', number, 0, now64(3), now64(3), today()
FROM numbers({rows:UInt32});
INSERT INTO interaction_summary_state
    (tenant_id, customer_id, period_type, period_key, channel_id, source, applied_offset, impressions)
SELECT 't' || number % 3, 'c' || number % {customers:UInt32}, 'daily', '2026-01-' || number % 28, 'web', 's', number, 1
FROM numbers({rows:UInt32});
INSERT INTO customer_versions (tenant_id, customer_id, version, attributes)
SELECT 't' || number % 3, 'c' || number % {customers:UInt32}, number % 9 + 1, '{}' FROM numbers({rows:UInt32});
INSERT INTO consent_log (tenant_id, customer_id, purpose, stated_at, status)
SELECT 't' || number % 3, 'c' || number % {customers:UInt32}, 'email', number, 'granted' FROM numbers({rows:UInt32})
"""


@pytest.fixture
def crowded(store: Store) -> Store:
    """Fill a store with many customers."""
    for statement in FILL.split(";"):
        store.client.command(statement, parameters={"rows": ROWS, "customers": CUSTOMER_COUNT})
    return store


def list_reads(plan: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """List the tables that a plan reads, with their granules and those that the primary key leaves."""
    if plan["Node Type"] == "ReadFromMergeTree":
        (index,) = [index for index in plan["Indexes"] if index["Type"] == "PrimaryKey"]
        assert index["Condition"] != "true", "the primary key is not used"
        yield plan["Description"].partition(".")[2], index["Initial Granules"], index["Selected Granules"]
    for part in plan.get("Plans", []):
        yield from list_reads(part)


def explained(store: Store, sql: str, frames: Mapping[str, Mapping[str, list[Any]]]) -> list[tuple[str, int, int]]:
    tables = {name: pl.DataFrame(columns, schema=FRAMES[name]) for name, columns in frames.items()}
    answer = store.client.raw_query(
        f"EXPLAIN json = 1, indexes = 1 {sql}",
        parameters={
            "tenants": ["t1"],
            "customers": ["c7"],
            "periods": ["2026-01-1", "alltime"],
            "tenant_id": "t1",
            "first_id": "",
            "hashes": [7],
            "horizon_hours": 24,
            "offsets": [7],
            "from_id": "",
            "ids": [f"{7:016X}"],
            "recommendations": False,
            "before_id": "g",
            "windows": [(0, "count", "*", "", 0, 0)],
            "filters": [],
            "most": 100,
            "folded": ["c7"],
        },
        external_data=_external_data(tables) if tables else None,
        fmt="TSVRaw",
    )
    return list(list_reads(json.loads(answer)[0]["Plan"]))


SOURCE = {"source": ["s1"]}
HOT = {
    "stream/claims": {"batch_keys": {**SOURCE, "key_hash": [7]}, "batch_starts": {**SOURCE, "first_offset": [9]}},
    "stream/accepted": {"disputed": {**ONE_CUSTOMER, **SOURCE, "offset": [7]}},
    "metrics/values": {"metric_customers": {"customer_id": ["c7"], "member": ["c7"]}},
    "summaries/of_customers": {},
    "history/of_customers": {},
    "respond/claims": {},
    "respond/accepted": {},
    "history/rows": {},
    "customers/newest": {"queried_customers": ONE_CUSTOMER},
    "customers/stored_first": {"attempted_versions": {"customer_id": ["c7"], "version": [1]}},
    "customers/with_consents": {},
    "consents/states": {"queried_customers": ONE_CUSTOMER},
}
BY_CUSTOMER = "SELECT * FROM {} WHERE tenant_id = 't1' AND customer_id = 'c7'"


def test_frequent_queries_read_only_the_customers_they_name(crowded: Store):
    asked = {name: (load_query(name), frames) for name, frames in HOT.items()}
    views = ("interaction_summaries", "interactions", "interaction_contacts", "customers", "consents")
    asked |= {view: (BY_CUSTOMER.format(view), {}) for view in views}
    for name, (sql, frames) in asked.items():
        reads = explained(crowded, sql, frames)
        assert reads, name
        for table, granules, selected in reads:
            assert granules >= 50, f"{table} is too small to tell"
            assert 1 <= selected <= 3, f"{name} reads {selected} of {granules} granules of {table}"
