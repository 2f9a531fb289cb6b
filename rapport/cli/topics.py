"""``rapport topic``."""

from __future__ import annotations

import asyncio

import click

from rapport.cli.environment import open_store, settings_from_environment
from rapport.kafka.topics import cluster_id_of, create_topics
from rapport.storage.sources import begin_generation
from rapport.terminal import echo


@click.group()
def topic() -> None:
    """Create the topics; tell the stream that one was recreated."""


@topic.command()
def create() -> None:
    """Create the source and the dead-letter topic where they are missing."""
    settings = settings_from_environment()
    asyncio.run(create_topics(settings.kafka))
    echo(f"{settings.kafka.topic} and {settings.kafka.dead_letter_topic} exist")


@topic.command()
@click.argument("name")
@click.option("--reason", default="recreated by an operator", help="Kept with the record.")
def recreated(name: str, reason: str) -> None:
    """Record that a topic was deleted and created anew; its new log counts on top of the old one. Restart workers."""
    settings = settings_from_environment()
    cluster_id = asyncio.run(cluster_id_of(settings.kafka))
    with open_store(settings) as store:
        generation = begin_generation(store, cluster_id, name, reason)
    echo(f"{name} is in generation {generation} now; restart the workers")
