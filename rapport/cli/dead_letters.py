"""``rapport dead-letters``."""

from __future__ import annotations

import asyncio

import click
from rich.table import Table

from rapport.cli.environment import CliError, open_store, read_settings
from rapport.kafka.clients import make_producer
from rapport.settings import KafkaSettings
from rapport.storage import dead_letters as letters
from rapport.storage.client import Store
from rapport.storage.dead_letters import StoredDeadLetter
from rapport.terminal import echo, make_console


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at messages that could not be used, and send them again."""


@dead_letters.command("list")
@click.option("--code", "codes", multiple=True, help="Only these reason codes.")
@click.option("--tenant", "tenants", multiple=True, help="Only these tenants.")
@click.option("--all", "with_replayed", is_flag=True, help="Also those that were sent again.")
@click.option("--limit", default=50, show_default=True)
def list_(*, codes: tuple[str, ...], tenants: tuple[str, ...], with_replayed: bool, limit: int) -> None:
    """List dead letters, newest first."""
    with open_store(read_settings()) as store:
        found = letters.list_letters(store, codes=codes, tenants=tenants, with_replayed=with_replayed, limit=limit)
    table = Table("id", "code", "tenant", "bytes", "received", "detail")
    for row in found.iter_rows(named=True):
        received = f"{row['received_at']:%Y-%m-%d %H:%M:%S}"
        table.add_row(row["id"], row["code"], row["tenant_id"], str(row["bytes"]), received, row["detail"])
    make_console(soft_wrap=True).print(table)


@dead_letters.command()
@click.argument("letter_id")
def show(letter_id: str) -> None:
    """Show one dead letter with its raw value."""
    with open_store(read_settings()) as store:
        letter = _find(store, [letter_id])[0]
    echo(f"id      {letter.id}\ncode    {letter.code}\ndetail  {letter.detail}\ntenant  {letter.tenant_id}")
    echo(f"key     {letter.key!r}\nvalue   {len(letter.value)} bytes")
    echo(letter.value.decode(errors="backslashreplace"))


@dead_letters.command()
@click.argument("letter_ids", nargs=-1)
@click.option("--code", "codes", multiple=True, help="All waiting letters with these reason codes.")
@click.option("--limit", default=10_000, show_default=True)
def replay(*, letter_ids: tuple[str, ...], codes: tuple[str, ...], limit: int) -> None:
    """Send dead letters to the source topic again, after their cause was mended."""
    settings = read_settings()
    if not letter_ids and not codes:
        raise CliError("name letter ids, or a reason with --code")
    with open_store(settings) as store:
        ids = list(letter_ids)
        if codes:
            found = letters.list_letters(store, codes=codes, limit=limit)
            ids += found["id"].to_list() if not found.is_empty() else []
        chosen = [letter for letter in _find(store, ids) if letter.value] if ids else []
        asyncio.run(_send(settings.kafka, chosen))
        if chosen:
            letters.mark_replayed(store, [letter.id for letter in chosen])
    echo(f"sent {len(chosen)} again")


def _find(store: Store, ids: list[str]) -> list[StoredDeadLetter]:
    found = letters.get_letters(store, ids)
    missing = set(ids) - {letter.id for letter in found}
    if missing:
        raise CliError(f"no dead letter {', '.join(sorted(missing))}; `rapport dead-letters list` shows the ids")
    return found


async def _send(kafka: KafkaSettings, chosen: list[StoredDeadLetter]) -> None:
    client = make_producer(kafka)
    await client.start()
    try:
        sent = [await client.send(kafka.topic, letter.value, key=letter.key or None) for letter in chosen]
        for future in sent:
            await future
    finally:
        await client.stop()
