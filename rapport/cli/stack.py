"""``rapport up``."""

from __future__ import annotations

import asyncio
import os
import shlex
from contextlib import ExitStack
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rapport.cli.environment import CliError
from rapport.embedded.stack import StackPlan, StackPorts, plan_children, plan_stack, wipe
from rapport.embedded.supervisor.errors import StackError
from rapport.embedded.supervisor.ports import LOOPBACK
from rapport.embedded.supervisor.supervisor import Stack
from rapport.logs import configure_logs
from rapport.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Callable

PORTS = StackPorts()
EXAMPLE_QUERY = "SELECT * FROM interaction_summaries WHERE tenant_id = 'demo' LIMIT 3"


def add_port_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options for the ports of a stack to a command, whose function takes them as ``ports``."""

    @wraps(function)
    def command(**options: Any) -> None:  # noqa: ANN401 - values of all options of the command
        ports = {field.name: options.pop(f"{field.name}_port") for field in fields(StackPorts)}
        function(ports=StackPorts(**ports), **options)

    port = click.IntRange(1, 65_535)
    for name, default, what in (
        ("--api-port", PORTS.api, "The API."),
        ("--worker-port", PORTS.worker, "Metrics and health of the first worker; the next takes the next."),
        ("--jobs-port", PORTS.jobs, "Metrics and health of the background jobs."),
        ("--state-port", PORTS.state, "Valkey."),
        ("--clickhouse-port", PORTS.clickhouse, "ClickHouse's HTTP interface."),
        ("--kafka-port", PORTS.kafka, "The broker."),
    ):
        command = click.option(name, type=port, default=default, show_default=True, help=what)(command)
    return command


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".rapport/data"),
    show_default=True,
    help="Holds ClickHouse's data and the logs.",
)
@add_port_options
@click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True, help="Stream workers.")
@click.option("--fresh", is_flag=True, help="Remove the data of earlier runs first.")
def up(
    *,
    data_dir: Path,
    ports: StackPorts,
    workers: int,
    fresh: bool,
) -> None:
    """Run the whole stack on this machine until Ctrl-C: broker, ClickHouse, schema, Valkey, workers, API, jobs."""
    try:
        plan = plan_stack(data_dir, ports, workers, os.environ)
        configure_logs(plan.settings)
        if fresh:
            wipe(plan.data_dir)
        stack = Stack(plan_children(plan), plan.data_dir)
        env_file = plan.data_dir.with_name(f"{plan.data_dir.name}.env")
        with ExitStack() as at_the_end:

            async def announce() -> None:
                plan.write_env_file(env_file)
                at_the_end.callback(env_file.unlink, missing_ok=True)
                echo(describe_stack(plan, data_dir, env_file))

            asyncio.run(stack.run_until_stopped(announce))
    except StackError as error:
        raise CliError(str(error)) from error


def describe_stack(plan: StackPlan, data_dir: Path, env_file: Path) -> str:
    """Describe the processes of a stack and its first commands. No secrets: the terminal may be watched or logged."""
    return f"""
The stack is up.

  broker      {plan.environment["KAFKA_BOOTSTRAP"]}, topic {plan.settings.kafka.topic} with \
{plan.settings.kafka.partitions} partitions. Its log is in memory only:
              what workers have not applied is gone after a stop. The summaries stay in ClickHouse.
  ClickHouse  {plan.environment["CLICKHOUSE_URL"]}, database {plan.settings.clickhouse.database}, password in {env_file}
  Valkey      {LOOPBACK}:{plan.ports.state}, what processes share and decide from; password in {env_file}
  workers     {", ".join(plan.metrics_urls)}; also /health/ready
  API         {plan.api_url}, described at {plan.api_url}/docs
  jobs        background work, {plan.jobs_url}
  logs, data  {data_dir}

To talk to it from another terminal:

  . {shlex.quote(str(env_file))}
  rapport tenant create demo
  rapport key create demo --role admin
  rapport produce --dataset cdnow
  rapport sql "{EXAMPLE_QUERY}"

Ctrl-C stops everything.
"""
