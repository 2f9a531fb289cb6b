"""``rapport worker``."""

from __future__ import annotations

import asyncio
import importlib
import sys

import click

from rapport.cli.environment import read_settings


@click.command()
def worker() -> None:
    """Run one stream worker until it is stopped; start as many as there are partitions."""
    settings = read_settings()
    # rapport knows the deployables by name only: pipeline builds on rapport, not the other way round.
    run_worker = importlib.import_module("pipeline.worker").run_worker
    sys.exit(asyncio.run(run_worker(settings)))
