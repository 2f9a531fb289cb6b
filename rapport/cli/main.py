"""The ``rapport`` command."""

from __future__ import annotations

import os
import sys

import click

from rapport.cli.api import api
from rapport.cli.audit import audit
from rapport.cli.catalog import catalog
from rapport.cli.customers import customers
from rapport.cli.dead_letters import dead_letters
from rapport.cli.demo import demo
from rapport.cli.environment import CliError
from rapport.cli.erasure import erasure
from rapport.cli.events import events
from rapport.cli.keys import key
from rapport.cli.produce import produce_command
from rapport.cli.reconcile import reconcile
from rapport.cli.retention import retention
from rapport.cli.schema import migrate
from rapport.cli.sql import sql
from rapport.cli.stack import up
from rapport.cli.status import status
from rapport.cli.tenants import tenant
from rapport.cli.topics import topic
from rapport.cli.worker import worker
from rapport.settings import SettingsError
from rapport.storage.errors import StorageError
from rapport.terminal import echo


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rapport")
def cli() -> None:
    """Customer interactions in, exact summaries and next-best offers out."""


cli.add_command(api)
cli.add_command(audit)
cli.add_command(catalog)
cli.add_command(customers)
cli.add_command(dead_letters)
cli.add_command(demo)
cli.add_command(erasure)
cli.add_command(events)
cli.add_command(key)
cli.add_command(migrate)
cli.add_command(produce_command)
cli.add_command(reconcile)
cli.add_command(retention)
cli.add_command(sql)
cli.add_command(status)
cli.add_command(tenant)
cli.add_command(topic)
cli.add_command(up)
cli.add_command(worker)


def main() -> None:
    """Run the command; faults of the user and of the world become one clear message and exit code 1."""
    try:
        cli(standalone_mode=True)
    except (CliError, SettingsError, StorageError) as error:
        echo(f"rapport: {error}", err=True)
        if os.environ.get("RAPPORT_LOG_LEVEL") == "debug":
            raise
        sys.exit(1)
