"""``rapport sql``."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TYPE_CHECKING

import click

from rapport.cli.environment import open_store, read_settings
from rapport.storage.adhoc import run_query
from rapport.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Iterable


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
    with open_store(read_settings()) as store:
        try:
            _write(run_query(store, query, output_format))
        except BrokenPipeError:  # a reader like `head` has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(pieces: Iterable[bytes]) -> None:
    """Write an answer byte for byte into a file or a pipe; to a terminal, only printable text."""
    if not sys.stdout.isatty():
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    for piece in pieces:
        echo(decoder.decode(piece), nl=False)
