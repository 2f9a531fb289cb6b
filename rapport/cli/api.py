"""``rapport api``."""

from __future__ import annotations

import importlib
import os

import click

from rapport.cli.environment import read_settings


@click.command()
@click.option(
    "--workers", type=click.IntRange(1, 64), help="Processes that share the port.  [default: RAPPORT_API_WORKERS]"
)
@click.option("--host", help="Where to listen.  [default: RAPPORT_API_HOST]")
@click.option("--port", type=click.IntRange(1, 65_535), help="[default: RAPPORT_API_PORT]")
def api(*, workers: int | None, host: str | None, port: int | None) -> None:
    """Run the API until it is stopped."""
    for name, value in (("WORKERS", workers), ("HOST", host), ("PORT", port)):
        if value is not None:
            os.environ[f"RAPPORT_API_{name}"] = str(value)  # the worker processes read it there
    settings = read_settings()
    # rapport knows the deployables by name only: api builds on rapport, not the other way round.
    importlib.import_module("api.server").serve(settings)
