"""``rapport reconcile``."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.table import Table

from rapport.cli.environment import open_store, read_settings
from rapport.storage.reconcile import MAX_DOUBLE_COUNTED, Reconciliation, repair_drift
from rapport.storage.reconcile import reconcile as compare
from rapport.terminal import make_console


@click.command()
@click.option("--repair", is_flag=True, help="Recompute what differs from the history, while workers run.")
@click.option(
    "--slices",
    type=click.IntRange(1),
    help="Compare in so many parts; more need less memory.  [default: one for each 250,000 events]",
)
@click.option("--show", default=10, show_default=True, help="How many differing rows to show.")
def reconcile(*, repair: bool, slices: int | None, show: int) -> None:
    """Compare every summary with the interaction history; exit code 1 if any differs."""
    settings = read_settings()
    horizon_s = settings.worker.dedup_horizon_hours * 3600
    console = make_console()
    with open_store(settings) as store:
        result = compare(store, slices=slices, horizon_s=horizon_s)
        _print(console, result, show)
        if repair and not result.drift.is_empty():
            by_workers = repair_drift(store, result.drift)
            console.print("repaired by the workers" if by_workers else "repaired here: no worker owned the sources")
            result = compare(store, slices=slices, horizon_s=horizon_s)
            _print(console, result, show)
    sys.exit(0 if result.is_clean else 1)


def _print(console: Console, result: Reconciliation, show: int) -> None:
    table = Table("period type", "rows", "contacts", "total value", "drift")
    drift = result.drift_by_period()
    for row in result.totals.iter_rows(named=True):
        table.add_row(
            row["period_type"],
            f"{row['rows']:,}",
            f"{row['contacts']:,}",
            f"{row['total_value']:,.2f}",
            str(drift.get(row["period_type"], 0)),
        )
    console.print(table)
    console.print(f"drift {result.drift.height}")
    for row in result.drift.head(show).iter_rows(named=True):
        console.print(" ", {name: str(value) for name, value in row.items()})
    if not result.double_counted.is_empty():
        height = result.double_counted.height
        more = " or more" if height == MAX_DOUBLE_COUNTED else ""
        console.print(f"idempotency keys counted twice: {height:,}{more}")
