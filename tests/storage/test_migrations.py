from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from rapport.storage.client import connect
from rapport.storage.errors import TerminalStorageError
from rapport.storage.migrations import Migration, MigrationError, apply, dump_schema, load_migrations, migrate, plan
from rapport.storage.queries import SQL_DIR, list_migration_files
from tests.fixtures.store import make_database_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rapport.settings import ClickHouseSettings
    from rapport.storage.client import Store

GLOBAL_TABLES = {
    "api_key_uses": "key_id",  # keys are known by their ids alone
    "job_lease_claims": "term",  # jobs work for all tenants
    "job_lease_renewals": "term",
    "job_states": "job",
    "journey_progress": "source",  # logs belong to no tenant
    "recent_claims": "source, last_offset, first_offset, cityHash64(key_hashes)",  # likewise
    "schema_migrations": "version",
    "stream_progress": "source",  # logs belong to no tenant
    "stream_skips": "source, offset",
    "stream_sources": "cluster_id, topic",
}
FIRST_STORED_COUNTS = {
    "audit_entry_log",
    "catalogue_entity_versions",
    "contact_profile_versions",
    "customer_versions",
    "job_lease_claims",
    "journey_enrolment_versions",
}  # nothing may change the order in which rows were stored
BY_ANOTHER_COLUMN_FIRST = {
    "api_keys": "key_hash",  # whose a key is, is what its look-up says
    "summary_repairs": "source",  # a worker looks for those of its own logs
}


@pytest.fixture
def target(clickhouse_url: str, database: str) -> ClickHouseSettings:
    return make_database_settings(clickhouse_url, database)


@pytest.fixture
def empty(target: ClickHouseSettings) -> Iterator[Store]:
    """Open a store on a database without any table."""
    with contextlib.closing(connect(target)) as store:
        yield store


def written(directory: Path, **statements: str) -> list[Migration]:
    """Write migrations for a test: `_0001_a="CREATE …"`."""
    for name, statement in statements.items():
        (directory / f"{name[1:]}.sql").write_text(statement, "utf-8")
    return load_migrations(sorted(directory.glob("*.sql")))


def table(name: str, column: str = "x") -> str:
    return f"-- One row is a number.\nCREATE TABLE {name} ({column} UInt8 COMMENT 'A number') ENGINE = Memory"


def tables(store: Store) -> list[str]:
    return [row["name"] for row in store.rows("schema/objects")]


def names(migrations: list[Migration]) -> list[str]:
    return [migration.name for migration in migrations]


def test_migrations_bring_an_empty_database_to_the_newest_schema_once(target: ClickHouseSettings, empty: Store):
    assert names(migrate(target)) == [path.stem for path in list_migration_files()]
    created = set(tables(empty))
    assert {path.stem[5:] for path in list_migration_files()} == created
    assert migrate(target) == []
    assert set(tables(empty)) == created
    assert dump_schema(empty) == (SQL_DIR / "schema.sql").read_text("utf-8"), "run `make schema`"


def test_the_schema_file_alone_leads_to_the_same_schema(empty: Store):
    schema = (SQL_DIR / "schema.sql").read_text("utf-8")
    for statement in schema.removesuffix(";\n").split(";\n\n"):
        empty.execute(statement)
    assert dump_schema(empty) == schema


def test_a_database_that_does_not_exist_is_created(clickhouse_url: str, empty: Store):
    name = f"{empty.client.database}_new"
    try:
        assert migrate(make_database_settings(clickhouse_url, name))
    finally:
        empty.client.command(f"DROP DATABASE IF EXISTS {name} SYNC")


def test_concurrent_migrations_do_not_disturb_each_other(target: ClickHouseSettings, empty: Store):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(migrate, [target, target]))
    assert plan(empty, load_migrations()) == []


def test_only_new_migrations_are_applied(empty: Store, tmp_path: Path):
    apply(empty, plan(empty, written(tmp_path, _0001_a=table("a"))))
    more = written(tmp_path, _0002_b=table("b"), _0010_c=table("c"))
    assert names(plan(empty, more)) == ["0002_b", "0010_c"]
    apply(empty, plan(empty, more))
    assert tables(empty) == ["a", "b", "c"]
    assert [row["version"] for row in empty.rows("schema/applied")] == [1, 2, 10]


def test_a_migration_that_changed_after_it_was_applied_is_refused(empty: Store, tmp_path: Path):
    apply(empty, plan(empty, written(tmp_path, _0001_a=table("a"), _0002_b=table("b"))))
    with pytest.raises(MigrationError, match="0001_a has changed since it was applied; write a new migration instead"):
        plan(empty, written(tmp_path, _0001_a=table("a", "y")))


def test_a_missing_migration_is_refused(empty: Store, tmp_path: Path):
    migrations = written(tmp_path, _0001_a=table("a"), _0002_b=table("b"))
    apply(empty, plan(empty, migrations))
    with pytest.raises(MigrationError, match="0002_b was applied to the database but is not among the files"):
        plan(empty, migrations[:1])


def test_a_migration_numbered_below_an_applied_one_is_refused(empty: Store, tmp_path: Path):
    apply(empty, plan(empty, written(tmp_path, _0001_a=table("a"), _0003_c=table("c"))))
    with pytest.raises(MigrationError, match="0002_b came after 0003 was applied; give it a higher number"):
        plan(empty, written(tmp_path, _0002_b=table("b")))


@pytest.mark.parametrize("crashed_after", ["statement", "insert"])
@pytest.mark.parametrize("at", [0, 1], ids=["table", "column"])
def test_a_crash_between_applying_and_recording_is_resumed(empty: Store, tmp_path: Path, at: int, crashed_after: str):
    column = "ALTER TABLE a ADD COLUMN y UInt8"
    migrations = written(tmp_path, _0001_a=table("a"), _0002_a=column, _0003_b=table("b"))
    pending = plan(empty, migrations)
    apply(empty, pending[:at])
    empty.execute(pending[at].statement)
    if crashed_after == "insert":
        apply(empty, pending[at : at + 1])
    apply(empty, plan(empty, migrations))
    assert tables(empty) == ["a", "b"]
    assert plan(empty, migrations) == []


def test_a_failed_migration_is_not_recorded_and_later_ones_are_not_applied(empty: Store, tmp_path: Path):
    broken = written(tmp_path, _0001_a=table("a"), _0002_b="CREATE TABLE b", _0003_c=table("c"))
    with pytest.raises(TerminalStorageError):
        apply(empty, plan(empty, broken))
    assert tables(empty) == ["a"]
    mended = written(tmp_path, _0002_b=table("b"))
    assert names(plan(empty, mended)) == ["0002_b", "0003_c"]


@pytest.mark.parametrize("name", ["1_a", "0001-a", "0001_A", "00001_a", "0001_"])
def test_a_file_not_named_number_and_object_is_refused(tmp_path: Path, name: str):
    path = tmp_path / f"{name}.sql"
    path.write_text(table("a"), "utf-8")
    with pytest.raises(MigrationError, match=re.escape(f"{name}.sql: a migration is named NNNN_object.sql")):
        load_migrations([path])


def test_two_files_with_one_number_are_refused(tmp_path: Path):
    with pytest.raises(MigrationError, match="two migrations share a number"):
        written(tmp_path, _0001_a=table("a"), _0001_b=table("b"))


def test_the_files_are_numbered_from_one_without_a_hole():
    assert [migration.version for migration in load_migrations()] == list(range(1, len(list_migration_files()) + 1))


@pytest.mark.parametrize("path", list_migration_files(), ids=lambda path: path.stem)
def test_a_migration_is_one_commented_statement_about_the_object_in_its_name(path: Path):
    comment, statement = re.fullmatch(r"((?:--[^\n]*\n)+)(.*)", path.read_text("utf-8"), re.DOTALL).groups()
    if re.match(rf"CREATE (TABLE|(OR REPLACE )?VIEW|MATERIALIZED VIEW) {path.stem[5:]}\n", statement):
        assert re.match(r"-- One row is ", comment)
    else:
        assert re.match(rf"ALTER TABLE {path.stem[5:]} ", statement)
        assert re.match(r"-- [A-Z].{20,}\n", comment)
    assert ";" not in re.sub(r"'[^']*'|--.*", "", statement)
    assert "IF NOT EXISTS" not in statement


def test_every_table_view_and_column_has_a_comment(store: Store):
    for kind, name in (("tables", "name"), ("columns", "concat(table, '.', name)")):
        found = store.client.query(
            f"SELECT {name}, comment FROM system.{kind} WHERE database = currentDatabase() ORDER BY 1"
        ).result_rows
        assert found
        assert [name for name, comment in found if not comment] == []


def test_the_tenant_leads_the_sort_key_of_every_table_that_has_one(store: Store):
    sql = """
        SELECT name, sorting_key, name IN (
            SELECT table FROM system.columns WHERE database = currentDatabase() AND name = 'tenant_id'
        )
        FROM system.tables WHERE database = currentDatabase() AND engine NOT LIKE '%View'
    """
    found = store.client.query(sql).result_rows
    assert {name: key for name, key, has_tenant in found if not has_tenant} == GLOBAL_TABLES
    of_tenants = {name: key.split(", ") for name, key, has_tenant in found if has_tenant}
    assert {name: key[0] for name, key in of_tenants.items() if key[0] != "tenant_id"} == BY_ANOTHER_COLUMN_FIRST


def test_every_table_collapses_repeated_rows(store: Store):
    sql = "SELECT name, engine FROM system.tables WHERE database = currentDatabase() AND engine NOT LIKE '%View'"
    engines = dict(store.client.query(sql).result_rows)
    assert {engines.pop(name) for name in FIRST_STORED_COUNTS} == {"MergeTree"}
    assert set(engines.values()) == {"ReplacingMergeTree"}
