"""The ``rapport`` command."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import click

from rapport.cli.environment import CliError
from rapport.settings import SettingsError
from rapport.storage.errors import StorageError
from rapport.terminal import echo

COMMANDS: Final = {
    "api": "rapport.cli.api:api",
    "audit": "rapport.cli.audit:audit",
    "catalog": "rapport.cli.catalogue:catalogue",
    "customers": "rapport.cli.customers:customers",
    "dead-letters": "rapport.cli.dead_letters:dead_letters",
    "demo": "rapport.cli.demo:demo",
    "erasure": "rapport.cli.erasure:erasure",
    "events": "rapport.cli.events:events",
    "jobs": "rapport.cli.jobs:jobs",
    "key": "rapport.cli.keys:key",
    "migrate": "rapport.cli.schema:migrate",
    "produce": "rapport.cli.produce:produce_command",
    "reconcile": "rapport.cli.reconcile:reconcile",
    "retention": "rapport.cli.retention:retention",
    "sql": "rapport.cli.sql:sql",
    "state": "rapport.cli.states:state",
    "status": "rapport.cli.status:status",
    "tenant": "rapport.cli.tenants:tenant",
    "topic": "rapport.cli.topics:topic",
    "up": "rapport.cli.stack:up",
    "worker": "rapport.cli.worker:worker",
}
"""The module and the function of each command."""


class CommandGroup(click.Group):
    """Group that imports a command's module when it is run, so that a worker loads no other command's code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the names of the commands, for the help text."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        """Import a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rapport")
def cli() -> None:
    """Customer interactions in, exact summaries and next-best offers out."""


def main() -> None:
    """Run the command; an error that the user can mend becomes one clear message and exit code 1."""
    try:
        cli(standalone_mode=True)
    except (CliError, SettingsError, StorageError) as error:
        echo(f"rapport: {error}", err=True)
        if os.environ.get("RAPPORT_LOG_LEVEL") == "debug":
            raise
        sys.exit(1)
