"""``rapport jobs``."""

from __future__ import annotations

import asyncio
import importlib

import click

from rapport.cli.environment import read_settings


@click.command()
def jobs() -> None:
    """Run the background jobs until stopped. One process runs them; further copies wait and take over."""
    settings = read_settings()
    # rapport knows the deployables by name only: jobs builds on rapport, not the other way round.
    asyncio.run(importlib.import_module("jobs.process").run_jobs(settings))
