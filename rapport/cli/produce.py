"""``rapport produce``."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from rapport.application.imports.event_sender import SendError, open_sender
from rapport.application.imports.progress import describe_result, show_progress
from rapport.application.imports.readers import FileFaultError, FileFormat, open_file
from rapport.application.imports.row_mapper import ColumnMapping, MappingError, parse_assignments
from rapport.application.imports.run import ProduceResult, produce
from rapport.cli.environment import CliError, read_settings
from rapport.datasets.catalogue import NAMES, DatasetName, open_dataset
from rapport.datasets.synthetic import SyntheticSpec
from rapport.datasets.wheels import DatasetError, find_cache_dir
from rapport.terminal import echo, make_console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.application.imports.feeds import Feed
    from rapport.settings import KafkaSettings

DEFAULTS = SyntheticSpec()


@click.command("produce")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dataset", type=click.Choice(NAMES), help="A known data set instead of a file.")
@click.option(
    "--format", "file_format", type=click.Choice(get_args(FileFormat)), help="By default what the file's name says."
)
@click.option("--delimiter", help="Between the columns of a CSV file.  [default: a comma; a tab in .tsv]")
@click.option("--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="Take a field from a column.")
@click.option("--set", "constants", multiple=True, metavar="FIELD=VALUE", help="Give every event the same value.")
@click.option(
    "--key-columns",
    metavar="COLUMN,...",
    default="",
    help="Columns that identify an event.  [default: the file's name and the line's number, unless it has keys]",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="Events in one message. More is faster and keeps each customer's order.",
)
@click.option("--strict", is_flag=True, help="Stop at the first bad line.")
@click.option("--tenant", envvar="RAPPORT_TENANT", default="demo", show_default=True, help="Whose a data set is to be.")
@click.option("--events", type=click.IntRange(0), default=DEFAULTS.events, show_default=True, help="Synthetic.")
@click.option("--customers", type=click.IntRange(1), default=DEFAULTS.customers, show_default=True, help="Synthetic.")
@click.option("--skew", type=click.FloatRange(0, 10), default=DEFAULTS.skew, show_default=True, help="Synthetic.")
@click.option("--seed", type=int, default=DEFAULTS.seed, show_default=True, help="Synthetic.")
def produce_command(
    *,
    file: Path | None,
    dataset: DatasetName | None,
    file_format: FileFormat | None,
    delimiter: str | None,
    columns: tuple[str, ...],
    constants: tuple[str, ...],
    key_columns: str,
    batch: int,
    strict: bool,
    tenant: str,
    events: int,
    customers: int,
    skew: float,
    seed: int,
) -> None:
    """Send the events of FILE (NDJSON, CSV or Parquet) or of a data set to the Kafka at KAFKA_BOOTSTRAP.

    Every line is checked against the event contract first. Those that do not meet it are reported with their number,
    counted and left out; the exit code is then 1.

    A column named like a field of an event is that field; others go into its metadata:

    \b
      rapport produce clicks.csv --set tenantId=demo --set outcome=click --map customerId=cust_id
      rapport produce --dataset cdnow

    Sending a file again within the horizon of duplicates (7 days) changes nothing, as its lines keep their keys.
    Another file of the same name needs --key-columns: its lines would be taken for changed versions of the old ones,
    and refused.
    """  # noqa: D301 - click reads it
    if (file is None) == (dataset is None):
        raise click.UsageError("name either a FILE or a --dataset")
    settings = read_settings()
    if file is not None:
        keys = tuple(name for name in key_columns.split(",") if name)
        feed = _open_file(file, _read_mapping(columns, constants, keys), file_format, delimiter)
    else:
        if file_format or delimiter or columns or constants or key_columns:
            raise click.UsageError("--format, --delimiter, --map, --set and --key-columns are for a FILE")
        spec = SyntheticSpec(events=events, customers=customers, skew=skew, seed=seed, tenant_id=tenant)
        feed = _open_dataset(dataset or "synthetic", spec)
    produced = asyncio.run(_send(feed, settings.kafka, batch=batch, is_strict=strict))
    echo(f"{feed.name}: {describe_result(produced)}")
    sys.exit(1 if produced.faulty_lines else 0)


async def _send(feed: Feed, kafka: KafkaSettings, *, batch: int, is_strict: bool) -> ProduceResult:
    try:
        async with open_sender(kafka, events_per_message=batch) as sender:
            with show_progress(feed, make_console(), make_console(stderr=True)) as observer:
                return await produce(feed, sender, observer, is_strict=is_strict)
    except SendError as error:
        raise CliError(str(error)) from error


def _read_mapping(columns: Iterable[str], constants: Iterable[str], key_columns: tuple[str, ...]) -> ColumnMapping:
    try:
        return ColumnMapping(
            columns=parse_assignments("--map", columns),
            constants=parse_assignments("--set", constants),
            key_columns=key_columns,
        )
    except MappingError as error:
        raise click.UsageError(str(error)) from error


def _open_file(path: Path, mapping: ColumnMapping, file_format: FileFormat | None, delimiter: str | None) -> Feed:
    if delimiter is not None and len(delimiter.encode()) != 1:
        raise click.UsageError("--delimiter must be one character")
    now_ms = time.time_ns() // 1_000_000
    try:
        return open_file(path, mapping, now_ms=now_ms, file_format=file_format, delimiter=delimiter)
    except (FileFaultError, MappingError, OSError) as error:
        raise CliError(str(error)) from error


def _open_dataset(name: DatasetName, spec: SyntheticSpec) -> Feed:
    try:
        return open_dataset(name, spec, find_cache_dir(os.environ))
    except DatasetError as error:
        raise CliError(str(error)) from error
