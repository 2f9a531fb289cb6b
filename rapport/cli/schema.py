"""``rapport migrate``."""

from __future__ import annotations

from pathlib import Path

import click

from rapport.cli.environment import open_store, read_settings
from rapport.storage import migrations
from rapport.terminal import echo


@click.command()
@click.option("--plan", "only_plan", is_flag=True, help="Only list what would be applied.")
@click.option(
    "--write-schema", type=click.Path(dir_okay=False, path_type=Path), help="Write the resulting schema to a file."
)
def migrate(*, only_plan: bool, write_schema: Path | None) -> None:
    """Create the database and bring it to the newest schema."""
    settings = read_settings()
    if only_plan:
        with open_store(settings) as store:
            pending = migrations.plan(store, migrations.load_migrations())
    else:
        pending = migrations.migrate(settings.clickhouse)
    for migration in pending:
        echo(f"{'pending' if only_plan else 'applied'} {migration.name}")
    if not pending:
        echo("the schema is current")
    if write_schema is not None:
        with open_store(settings) as store:
            write_schema.write_text(migrations.dump_schema(store), encoding="utf-8")
