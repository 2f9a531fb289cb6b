"""``rapport events``."""

from __future__ import annotations

import json

import click

from rapport.domain.contract import build_asyncapi as asyncapi_document
from rapport.domain.contract import build_event_schema
from rapport.domain.events import EVENT_TYPES
from rapport.terminal import echo


@click.group()
def events() -> None:
    """Print the event contract."""


@events.command()
def asyncapi() -> None:
    """Print the AsyncAPI document of the topics."""
    echo(json.dumps(asyncapi_document(), indent=2))


@events.command()
@click.argument("type_name", type=click.Choice(list(EVENT_TYPES)), default="interaction.recorded.v1")
def schema(type_name: str) -> None:
    """Print the JSON Schema of an event type, for producers to validate with."""
    echo(json.dumps(build_event_schema(type_name), indent=2))
