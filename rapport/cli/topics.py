"""``rapport topic``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
from aiokafka.errors import OffsetOutOfRangeError

from rapport.cli.environment import CliError, open_store, read_settings
from rapport.kafka.log import open_log
from rapport.kafka.sources import name_source
from rapport.kafka.topics import create_topics, fetch_cluster_id
from rapport.storage.catalogue_changes import Author
from rapport.storage.sources import begin_generation, skip_message
from rapport.storage.stream import read_generation, read_progress
from rapport.storage.tenants import load_tenants
from rapport.terminal import echo

if TYPE_CHECKING:
    from rapport.settings import KafkaSettings


@click.group()
def topic() -> None:
    """Create the topics; tell the stream that one was recreated, or to skip a message."""


@topic.command()
def create() -> None:
    """Create the source and the dead-letter topic where they are missing."""
    settings = read_settings()
    asyncio.run(create_topics(settings.kafka))
    echo(f"{settings.kafka.topic} and {settings.kafka.dead_letter_topic} exist")


@topic.command()
@click.argument("name")
@click.option("--reason", default="recreated by an operator", help="Kept with the record.")
def recreated(name: str, reason: str) -> None:
    """Record that a topic was deleted and created anew; its new log counts on top of the old one. Restart workers."""
    settings = read_settings()
    cluster_id = asyncio.run(fetch_cluster_id(settings.kafka))
    with open_store(settings) as store:
        generation = begin_generation(store, cluster_id, name, reason)
    echo(f"{name} is in generation {generation} now; restart the workers")


@topic.command()
@click.argument("name")
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
@click.option("--reason", required=True, help="Kept with the record, the audit entry and the dead letter.")
def skip(name: str, partition: int, offset: int, reason: str) -> None:
    """Have the message at OFFSET become a dead letter, unread. Restart the workers.

    For a message that the stream cannot pass. Noted in the audit logs of the tenants that it names, or of all.
    """
    settings = read_settings()
    cluster_id = asyncio.run(fetch_cluster_id(settings.kafka))
    with open_store(settings) as store:
        source = name_source(cluster_id, name, partition, read_generation(store, cluster_id, name)).name
        applied = read_progress(store, [source]).get(source, 0)
        if offset < applied:
            raise CliError(f"offset {offset} was applied already: {source} continues at {applied}")
        key, value = asyncio.run(_read_message(settings.kafka, (name, partition), offset))
        tenants = load_tenants(store)
        named = {one for one in tenants if key.startswith(f"{one}:".encode()) or f'"{one}"'.encode() in value}
        skip_message(store, source, offset, reason, Author("rapport topic skip"), named or tenants)
    echo(f"{source}:{offset} becomes a dead letter; restart the workers")


async def _read_message(kafka: KafkaSettings, partition: tuple[str, int], offset: int) -> tuple[bytes, bytes]:
    async with open_log(kafka) as reader:
        try:
            found = await reader.fetch_message(partition, offset)
        except OffsetOutOfRangeError:
            found = None
    if found is None:
        raise CliError(f"{partition[0]} has no message at offset {offset} of partition {partition[1]}")
    return found
