"""``rapport customers load`` stores valid rows, reports the others, and fails by its exit code if there are any."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner

from rapport.cli.main import cli
from rapport.domain.catalogue.customer_schema import CustomerSchema, SchemaField
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue
from rapport.storage.client import connect
from rapport.storage.customers import find_customer
from rapport.storage.migrations import migrate
from rapport.storage.tenants import create_tenant
from tests.fixtures.store import make_database_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from rapport.settings import ClickHouseSettings
    from rapport.storage.client import Store

FIELDS = [
    SchemaField(name="tier", required=True),
    SchemaField(name="age", data_type="number"),
    SchemaField(name="seen", data_type="datetime"),
]
PEOPLE = CustomerSchema(id="people", key="people", name="People", fields=FIELDS)
CSV = """id,Level,age,note
7,gold,33,"a
b"
8,blue,,
9,,1,x
,gold,1,x
10,gold,old,x
11,gold,1
"""


class LoadCommand:
    """The command on a database of its own, with a tenant `t1` whose customers have a schema."""

    def __init__(self, settings: ClickHouseSettings, directory: Path) -> None:
        migrate(settings)
        self.store: Store = connect(settings)
        self.directory = directory
        self._env = {"CLICKHOUSE_URL": settings.url, "CLICKHOUSE_DATABASE": settings.database}
        create_tenant(self.store, "t1")
        change_catalogue(self.store, "t1", Author("tests"), lambda _before: [EntityChange("customer_schema", PEOPLE)])

    def __call__(self, name: str, text: str | None, *options: str, tenant: str = "t1") -> Result:
        path = self.directory / name
        if text is not None:
            path.write_text(text, "utf-8")
        return CliRunner().invoke(cli, ["customers", "load", str(path), "--tenant", tenant, *options], env=self._env)

    def read_attributes(self, customer_id: str) -> Any:
        found = find_customer(self.store, "t1", customer_id)
        return None if found is None else found.attributes


@pytest.fixture
def load(clickhouse_url: str, database: str, tmp_path: Path) -> Iterator[LoadCommand]:
    loads = LoadCommand(make_database_settings(clickhouse_url, database), tmp_path)
    with closing(loads.store):
        yield loads


@pytest.mark.parametrize("batch", ["1", "3", "10000"])
def test_a_table_is_loaded_and_its_bad_lines_are_reported(load: LoadCommand, batch: str):
    options = ("--key", "id", "--map", "tier=Level", "--batch", batch)
    done = load("p.csv", CSV, *options)
    assert done.exit_code == 1
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [f"p.csv:{n}" for n in (5, 6, 7, 8)]
    assert "p.csv:5: invalid_customer: tier: is required" in done.stderr
    assert "p.csv:7: invalid_customer: age: must be a number" in done.stderr
    assert "2 rows in " in done.stdout
    assert "2 customers created, 0 changed, 0 as they were; 4 bad lines" in done.stdout
    assert load.read_attributes("7") == {"tier": "gold", "age": 33, "note": "a\nb"}
    assert load.read_attributes("8") == {"tier": "blue"}
    again = load("p.csv", CSV, *options)
    assert "0 customers created, 0 changed, 2 as they were; 4 bad lines" in again.stdout


def test_lines_change_what_they_name_or_replace_all(load: LoadCommand):
    assert load("p.ndjson", '{"customerId": 7, "tier": "gold", "age": 33}\n').exit_code == 0
    assert load("p.ndjson", '{"customer_id": "7", "attributes": {"age": 34, "note": null}}\n').exit_code == 0
    assert load.read_attributes("7") == {"tier": "gold", "age": 34}
    done = load("p.ndjson", '{"customerId": "7", "tier": "red"}\n[]\n{"customerId": "7", "age": "x"}\n', "--replace")
    assert (done.exit_code, load.read_attributes("7")) == (1, {"tier": "red"})
    assert "p.ndjson:2: not_an_object" in done.stderr
    assert "p.ndjson:3: invalid_customer: age: must be a number; tier: is required" in done.stderr


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5_000, "1e999", "-9007199254740992"])
def test_a_line_with_an_inexact_number_is_reported_and_the_others_stored(load: LoadCommand, number: str):
    lines = [f'{{"customerId": "{n}", "tier": "gold", "{name}": {age}}}' for n, name, age in (
        (1, "age", "1"), (2, "age", number), (3, "other", f"[{number}]"), (4, "age", "4")
    )]  # fmt: skip
    done = load("p.ndjson", "\n".join(lines))
    assert done.exit_code == 1
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == ["p.ndjson:2", "p.ndjson:3"]
    assert [load.read_attributes(str(n)) is not None for n in range(1, 5)] == [True, False, False, True]


def test_typed_columns_keep_their_types(load: LoadCommand):
    frame = pl.DataFrame(
        {
            "customer_id": [1, 2],
            "tier": ["gold", None],
            "age": [Decimal("33.5"), None],
            "seen": [datetime(2026, 3, 15, 14, 30, tzinfo=UTC), None],
            "day": [date(2026, 3, 15), None],
            "tags": [["a", "b"], None],
            "share": [float("nan"), 0.5],
        }
    )
    frame.write_parquet(load.directory / "p.parquet")
    done = load("p.parquet", None)
    assert "p.parquet:2: invalid_customer: tier: is required" in done.stderr
    assert load.read_attributes("1") == {
        "tier": "gold",
        "age": 33.5,
        "seen": "2026-03-15T14:30:00.000Z",
        "day": "2026-03-15",
        "tags": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("p.csv", "a,b\n1,2\n", (), "the file has no column customerId or customer_id; it has a, b"),
        ("p.csv", "id\n1\n", ("--key", "no", "--map", "x=y"), "the file has no column no, y; it has id"),
        ("p.csv", "id\n1\n", ("--map", "x"), "--map 'x': must be FIELD=VALUE"),
        ("p.txt", "id\n1\n", (), "the name does not tell the format"),
        ("p.parquet", "id", (), "is no Parquet file"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_reported_before_any_row_is_stored(
    load: LoadCommand, name: str, text: str, options: tuple[str, ...], message: str
):
    done = load(name, text, *options)
    assert done.exit_code == 1
    assert message in str(done.exception)


def test_customers_of_an_unknown_tenant_are_refused(load: LoadCommand):
    done = load("p.ndjson", '{"customerId": "7", "tier": "gold"}\n', tenant="t9")
    assert "there is no tenant 't9'" in str(done.exception)
