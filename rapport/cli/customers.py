"""``rapport customers``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from rapport.application.imports.customers import (
    BATCH_ROWS,
    AttributeMapping,
    CustomerImport,
    ImportTarget,
    import_customers,
)
from rapport.application.imports.progress import format_fault_count, show_progress
from rapport.application.imports.readers import FileFaultError, FileFormat, open_table
from rapport.application.imports.row_mapper import MappingError, parse_assignments
from rapport.cli.environment import CliError, open_store, read_settings
from rapport.domain.catalogue.customer_schema import CustomerSchema
from rapport.domain.profiles.attributes import AttributeSchema
from rapport.storage.catalogue import load_catalogue
from rapport.storage.catalogue_changes import Author
from rapport.storage.customers import MAX_CUSTOMERS
from rapport.storage.tenants import load_tenants
from rapport.terminal import echo, make_console

if TYPE_CHECKING:
    from rapport.application.imports.readers import Table
    from rapport.storage.client import Store

AUTHOR = Author("rapport customers load")


@click.group()
def customers() -> None:
    """Load what is known of customers."""


@customers.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tenant", "tenant_id", envvar="RAPPORT_TENANT", required=True, help="Whose customers.")
@click.option(
    "--format", "file_format", type=click.Choice(get_args(FileFormat)), help="By default what the file's name says."
)
@click.option("--delimiter", help="Between the columns of a CSV file.  [default: a comma; a tab in .tsv]")
@click.option("--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="Take an attribute from a column.")
@click.option("--key", metavar="COLUMN", default="", help="Who it is.  [default: customerId or customer_id]")
@click.option("--replace", "replaces", is_flag=True, help="Take away what a row does not say.")
@click.option(
    "--batch",
    type=click.IntRange(1, MAX_CUSTOMERS),
    default=BATCH_ROWS,
    show_default=True,
    help="Rows that are stored together.",
)
def load(
    *,
    file: Path,
    tenant_id: str,
    file_format: FileFormat | None,
    delimiter: str | None,
    columns: tuple[str, ...],
    key: str,
    replaces: bool,
    batch: int,
) -> None:
    """Load the customers of FILE (NDJSON, CSV or Parquet).

    Every row is checked against the tenant's schemas. Those that do not meet them are reported with their line, counted
    and left out; the exit code is then 1. A column is the attribute of its name:

    \b
      rapport customers load people.csv --tenant demo --key cust_id --map first_name=FNAME

    Attributes that a row does not say stay as they are, unless --replace. Loading a file again changes nothing.
    """  # noqa: D301 - click reads it
    if delimiter is not None and len(delimiter.encode()) != 1:
        raise click.UsageError("--delimiter must be one character")
    try:
        mapping = AttributeMapping(columns=parse_assignments("--map", columns), key=key)
        table = open_table(file, file_format=file_format, delimiter=delimiter)
        with open_store(read_settings()) as store:
            loaded = _load(store, tenant_id, table, mapping, replaces=replaces, batch=batch)
    except (FileFaultError, MappingError, OSError) as error:
        raise CliError(str(error)) from error
    echo(
        f"{table.name}: {loaded.rows:,} rows in {loaded.seconds:.1f} s ({loaded.rows_per_second:,.0f}/s); "
        f"{loaded.created:,} customers created, {loaded.changed:,} changed, {loaded.unchanged:,} as they were; "
        f"{format_fault_count(loaded.faulty_lines)}"
    )
    sys.exit(1 if loaded.faulty_lines else 0)


def _load(
    store: Store, tenant_id: str, table: Table, mapping: AttributeMapping, *, replaces: bool, batch: int
) -> CustomerImport:
    if tenant_id not in load_tenants(store):
        raise CliError(f"there is no tenant {tenant_id!r}; create it with `rapport tenant create {tenant_id}`.")
    schemas = load_catalogue(store, tenant_id).entities.get("customer_schema", ())
    form = AttributeSchema.from_schemas(one for one in schemas if isinstance(one, CustomerSchema))
    into = ImportTarget(store=store, tenant_id=tenant_id, author=AUTHOR, form=form)
    with show_progress(table, make_console(), make_console(stderr=True), "customers") as observer:
        return import_customers(table, mapping, into, observer, replaces=replaces, batch_rows=batch)
