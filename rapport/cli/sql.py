"""``rapport sql``."""

from __future__ import annotations

import os
import sys

import click

from rapport.cli.environment import open_store, settings_from_environment
from rapport.storage.adhoc import run_query


@click.command()
@click.argument("query")
@click.option(
    "--format",
    "output_format",
    default="PrettyCompactMonoBlock",
    show_default=True,
    help="A ClickHouse output format: CSVWithNames, JSONEachRow, Vertical, Parquet, ...",
)
def sql(query: str, output_format: str) -> None:
    """Run a QUERY on ClickHouse and print what it returns. It can only read.

    \b
      rapport sql "SELECT period_key, positive FROM interaction_summaries WHERE tenant_id = 'demo' LIMIT 10"
    """  # noqa: D301 - click reads it
    with open_store(settings_from_environment()) as store:
        try:
            for piece in run_query(store, query, output_format):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # a reader like `head` has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
