"""``rapport demo``."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rapport.application.imports.event_sender import SendError
from rapport.cli.environment import CliError
from rapport.cli.stack import add_port_options
from rapport.datasets.wheels import DatasetError, find_cache_dir
from rapport.demo.replay import ReplayError
from rapport.demo.session import TENANT, Demo, load_data
from rapport.embedded.stack import find_free_stack_ports, plan_stack
from rapport.embedded.supervisor.errors import StackError
from rapport.logs import configure_logs
from rapport.terminal import make_console

if TYPE_CHECKING:
    from rapport.embedded.stack import StackPorts

DATA_DIR = Path(".rapport/demo")
ONCE_DATA_DIR = Path(".rapport/demo-once")
"""A directory of its own for ``--once``, so that a check does not disturb a demo that is up."""


@click.command()
@click.option("--once", is_flag=True, help="Check the totals and exit with 0 or 1; on free ports.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Emptied at each start.  [default: {DATA_DIR}; with --once {ONCE_DATA_DIR}]",
)
@add_port_options
@click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True, help="Stream workers.")
def demo(
    *,
    once: bool,
    data_dir: Path | None,
    ports: StackPorts,
    workers: int,
) -> None:
    """Run the whole stack on this machine and replay 18 months of purchases through it.

    It stays up until Ctrl-C. Meanwhile a file beside its directory (.rapport/demo.env) tells the shell how to reach it.
    """
    console = make_console(markup=True)
    directory = data_dir or (ONCE_DATA_DIR if once else DATA_DIR)
    try:
        chosen = find_free_stack_ports(workers) if once else ports
        plan = plan_stack(directory, chosen, workers, os.environ, trusted_tenant=TENANT)
        configure_logs(plan.settings)
        data = load_data(find_cache_dir(os.environ), console)
        env_file = None if once else directory.with_name(f"{directory.name}.env")
        is_right = asyncio.run(Demo(plan, data, console, env_file, _find_own_command()).run())
    except (DatasetError, ReplayError, SendError, StackError) as error:
        raise CliError(str(error)) from error
    sys.exit(0 if is_right else 1)


def _find_own_command() -> str:
    """Return the command that calls this program from the user's directory."""
    if shutil.which("rapport"):
        return "rapport"
    path = str(Path(sys.executable).with_name("rapport"))
    return min(os.path.relpath(path), path, key=len)
