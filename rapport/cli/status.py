"""``rapport status``."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import click
from aiokafka.errors import KafkaError
from rich.table import Table

from rapport.application.background_jobs import SCHEDULES
from rapport.cli.environment import open_store, read_settings
from rapport.jobs import JobState, find_status
from rapport.kafka.log import LogRange, open_log
from rapport.kafka.topics import fetch_cluster_id
from rapport.settings import KafkaSettings
from rapport.storage.dead_letters import count_letters
from rapport.storage.jobs import read_job_states, read_lease
from rapport.terminal import make_console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from rapport.storage.jobs import LeaseState


@click.command()
def status() -> None:
    """Show the lag of every partition, the last batches, dead letters by code, and the background jobs."""
    settings = read_settings()
    console = make_console()
    with open_store(settings) as store:
        rows = store.rows("status/sources")
        letters = count_letters(store)
        lease, jobs = read_lease(store), read_job_states(store)
    try:
        cluster_id, ranges = asyncio.run(_read_ranges(settings.kafka, rows))
    except (KafkaError, OSError) as error:
        console.print(f"Kafka at {settings.kafka.bootstrap} does not answer ({error}); lag is unknown")
        cluster_id, ranges = "", {}
    table = Table("source", "next offset", "lag", "last batch", "messages", "events", "worker")
    for row in rows:
        held = ranges.get((row["topic"], row["partition"])) if row["cluster_id"] == cluster_id else None
        lag = f"{max(held.end - row['next_offset'], 0):,}" if held else "-"
        table.add_row(
            row["source"],
            f"{row['next_offset']:,}",
            lag,
            f"{row['seconds_since_batch']:.1f} s ago",
            str(row["batch_messages"]),
            str(row["batch_events"]),
            row["worker"],
        )
    console.print(table)
    if letters.is_empty():
        console.print("dead letters: none")
    for row in letters.iter_rows(named=True):
        console.print(f"dead letters: {row['letters']:,} {row['code']} (last {row['last_received_at']:%Y-%m-%d %H:%M})")
    _print_jobs(console, lease, jobs, time.time())


def _print_jobs(console: Console, lease: LeaseState | None, states: Mapping[str, JobState], now_s: float) -> None:
    is_run = lease is not None and lease.is_held
    holder = lease.holder if lease is not None and is_run else "nobody: start `rapport jobs`"
    console.print(f"background jobs: run by {holder}")
    table = Table("job", "status", "last success", "took", "due", "last error")
    for name in SCHEDULES:
        state = states.get(name) or JobState(name=name, every_s=0.0)
        table.add_row(
            name,
            find_status(state, now_s, is_run=is_run),
            "-" if state.succeeded_at is None else f"{now_s - state.succeeded_at:,.0f} s ago",
            "-" if state.duration_s is None else f"{state.duration_s:,.1f} s",
            "-" if state.due_at is None else f"in {state.due_at - now_s:,.0f} s",
            state.error or "",
        )
    console.print(table)


async def _read_ranges(
    kafka: KafkaSettings, rows: list[dict[str, object]]
) -> tuple[str, dict[tuple[str, int], LogRange]]:
    cluster_id = await fetch_cluster_id(kafka)
    wanted = [(str(r["topic"]), int(str(r["partition"]))) for r in rows if r["cluster_id"] == cluster_id]
    async with open_log(kafka) as reader:
        return cluster_id, await reader.fetch_ranges(wanted) if wanted else {}
