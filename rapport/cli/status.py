"""``rapport status``."""

from __future__ import annotations

import asyncio

import click
from aiokafka.errors import KafkaError
from rich.table import Table

from rapport.cli.environment import open_store, read_settings
from rapport.kafka.log import LogRange, open_log
from rapport.kafka.topics import fetch_cluster_id
from rapport.settings import KafkaSettings
from rapport.storage.dead_letters import count_letters
from rapport.terminal import make_console


@click.command()
def status() -> None:
    """Show the lag of every partition, the last batches, and the dead letters by code."""
    settings = read_settings()
    console = make_console()
    with open_store(settings) as store:
        rows = store.rows("status/sources")
        letters = count_letters(store)
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


async def _read_ranges(
    kafka: KafkaSettings, rows: list[dict[str, object]]
) -> tuple[str, dict[tuple[str, int], LogRange]]:
    cluster_id = await fetch_cluster_id(kafka)
    wanted = [(str(r["topic"]), int(str(r["partition"]))) for r in rows if r["cluster_id"] == cluster_id]
    async with open_log(kafka) as reader:
        return cluster_id, await reader.fetch_ranges(wanted) if wanted else {}
