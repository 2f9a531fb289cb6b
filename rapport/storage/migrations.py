"""Schema migrations: numbered, immutable files, applied once each and recorded with a checksum."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from rapport.storage.client import connect
from rapport.storage.errors import StorageError
from rapport.storage.queries import list_migration_files

if TYPE_CHECKING:
    from rapport.settings import ClickHouseSettings
    from rapport.storage.client import Store

_FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+$")


class MigrationError(StorageError):
    """The database and the migration files contradict each other."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of ``sql/migrations``: one statement."""

    version: int
    name: str
    checksum: str
    statement: str


def load_migrations(files: list[Path] | None = None) -> list[Migration]:
    """Read the migration files.

    Raises:
        MigrationError: A file is not named ``NNNN_object.sql``, or a number is used twice.
    """
    migrations: list[Migration] = []
    for path in list_migration_files() if files is None else files:
        matched = _FILE_NAME.match(path.stem)
        if not matched:
            raise MigrationError(f"{path.name}: a migration is named NNNN_object.sql")
        text = path.read_text(encoding="utf-8")
        checksum = hashlib.sha256(text.encode()).hexdigest()
        migrations.append(Migration(int(matched.group(1)), path.stem, checksum, text))
    if len({m.version for m in migrations}) != len(migrations):
        raise MigrationError("two migrations share a number")
    return migrations


def plan(store: Store, migrations: list[Migration]) -> list[Migration]:
    """List the migrations that are still to be applied.

    Raises:
        MigrationError: An applied migration has changed or is missing, or one was added below the newest applied.
    """
    store.command("schema/create_ledger")
    applied = {row["version"]: row for row in store.rows("schema/applied")}
    known = {m.version: m for m in migrations}
    for version, row in applied.items():
        if version not in known:
            raise MigrationError(f"{row['name']} was applied to the database but is not among the files")
        if known[version].checksum != row["checksum"]:
            raise MigrationError(f"{row['name']} has changed since it was applied; write a new migration instead")
    newest = max(applied, default=0)
    late = [m.name for m in migrations if m.version not in applied and m.version < newest]
    if late:
        raise MigrationError(f"{', '.join(late)} came after {newest:04d} was applied; give it a higher number")
    return [m for m in migrations if m.version not in applied]


def apply(store: Store, pending: list[Migration]) -> None:
    """Apply migrations in order, recording each. After a crash the next run continues."""
    for migration in pending:
        store.execute(migration.statement, tolerate_existing=True)
        row = {"version": [migration.version], "name": [migration.name], "checksum": [migration.checksum]}
        store.insert("schema_migrations", pl.DataFrame(row, schema_overrides={"version": pl.UInt32}))


def migrate(settings: ClickHouseSettings) -> list[Migration]:
    """Create the database if it is missing and bring it to the newest schema.

    Returns:
        The migrations that were applied; empty if the schema was current.
    """
    server = connect(settings, database="default")
    try:
        server.command("schema/create_database", {"database": settings.database})
    finally:
        server.close()
    store = connect(settings)
    try:
        pending = plan(store, load_migrations())
        apply(store, pending)
    finally:
        store.close()
    return pending


def dump_schema(store: Store) -> str:
    """Return the schema after the migrations, in the engine's own words."""
    statements = [row["statement"] for row in store.rows("schema/objects")]
    header = "-- Generated from sql/migrations by `make schema`; a test keeps it current. Do not edit.\n\n"
    return header + "\n\n".join(f"{statement};" for statement in statements) + "\n"
