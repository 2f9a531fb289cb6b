"""Report that the demo prints once all events are applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from rapport.datasets.totals import Totals
    from rapport.demo.findings import Findings
    from rapport.demo.replay import Replay
    from rapport.embedded.stack import StackPlan

EXAMPLE_QUERY = (
    "SELECT customer_id, converts, total_value, last_contact_at FROM interaction_summaries "
    "WHERE tenant_id = 'demo' AND scope = 'offer' AND period_type = 'alltime' ORDER BY total_value DESC LIMIT 5"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextSteps:
    """Names in the hints at the end.

    Attributes:
        env_file: Script that tells a shell the addresses of the stack.
        command: The user's command for ``rapport``.
        worker: The worker to kill.
        worker_pid: Process id of that worker.
        customer_id: Customer of the example calls.
    """

    env_file: str
    command: str
    worker: str
    worker_pid: str
    customer_id: str


def show_report(console: Console, findings: Findings, replay: Replay) -> None:
    """Print the totals, the customers and the stream's performance."""
    console.print(_make_totals_table(findings))
    console.print(_make_customer_table(findings))
    console.print(_make_example_table(findings))
    console.print(_make_partition_table(replay))
    console.print(
        f"{replay.events:,} events: the broker had them after {replay.sent_seconds:.1f} s, every summary was in "
        f"ClickHouse after {replay.applied_seconds:.1f} s ({replay.events / replay.applied_seconds:,.0f} events/s, "
        "with producer, broker, worker and database sharing this machine).",
        highlight=False,
        soft_wrap=True,
    )


def show_verdict(console: Console, faults: Sequence[str], expected: Totals) -> None:
    """Print whether the summaries equal the data set, to the event and the cent."""
    if not faults:
        console.print(
            f"[bold green]Exact:[/] {expected.events:,} accepted events, {expected.customers:,} customers, "
            f"${expected.total_value:,.2f}; daily = weekly = monthly = alltime.",
            highlight=False,
            soft_wrap=True,
        )
        return
    console.print("[bold red]The summaries are not what they should be:[/]")
    for fault in faults:
        console.print(f"  {fault}", markup=False, highlight=False)


def show_next_steps(console: Console, plan: StackPlan, steps: NextSteps) -> None:
    """Print the addresses of the stack and commands to try."""
    command = steps.command
    text = f"""
[bold]The stack stays up until Ctrl-C.[/]

  broker      {plan.environment["KAFKA_BOOTSTRAP"]} (its log is in memory only)
  ClickHouse  {plan.environment["CLICKHOUSE_URL"]}
  workers     {", ".join(plan.metrics_urls)}
  API         {plan.api_url}, described at {plan.api_url}/docs
  jobs        {plan.jobs_url}
  logs        {plan.data_dir / "logs"}

In another terminal:

  [cyan]source {steps.env_file}[/]
  [cyan]{command} sql "{EXAMPLE_QUERY}"[/]
  [cyan]{command} status[/]       # lag per partition, dead letters
  [cyan]{command} reconcile[/]    # every summary recomputed from the history and compared

Ask the API:

  [cyan]curl -H "X-API-Key: $RAPPORT_API_KEY" \\
    "{plan.api_url}/api/v1/interaction-summaries?customerId={steps.customer_id}&periodType=monthly"[/]
  [cyan]curl -H "X-API-Key: $RAPPORT_API_KEY" \\
    "{plan.api_url}/api/v1/interaction-history?customerId={steps.customer_id}&limit=3"[/]
  [cyan]curl -H "X-API-Key: $RAPPORT_API_KEY" \\
    "{plan.api_url}/api/v1/customers/{steps.customer_id}/unified-profile"[/]
  [cyan]curl -H "X-API-Key: $RAPPORT_API_KEY" -H "Content-Type: application/json" {plan.api_url}/api/v1/respond \\
    -d '{{"customerId": "{steps.customer_id}", "creativeId": "newsletter", "channelId": "email", \
"outcome": "click", "idempotencyKey": "my-first-click"}}'[/]

What would you offer now, and why not something else?

  [cyan]curl -H "X-API-Key: $RAPPORT_API_KEY" -H "Content-Type: application/json" {plan.api_url}/api/v1/recommend \\
    -d '{{"customerId": "me", "channel": "web", "attributes": {{"purchases": 3}}, "debug": true}}'[/]
  [cyan]curl -H "X-API-Key: $RAPPORT_API_KEY" {plan.api_url}/api/v1/customers/me/why-not/club[/]

Kill {steps.worker} while more events flow. It is restarted here, and the totals stay exact:

  [cyan]{command} produce --dataset synthetic --events 200000 & sleep 3; kill -9 {steps.worker_pid}; wait[/]
  [cyan]{command} status[/]       # until the lag is 0
  [cyan]{command} reconcile[/]    # drift 0
"""
    console.print(text, highlight=False, soft_wrap=True)


def _make_totals_table(findings: Findings) -> Table:
    table = _make_table(
        "Totals per period type", "period type", "periods", "summaries", "customers", "contacts", "value"
    )
    for period in findings.periods:
        numbers = (period.periods, period.rows, period.customers, period.contacts)
        table.add_row(period.period_type, *(f"{number:,}" for number in numbers), f"{period.value:,.2f}")
    return table


def _make_customer_table(findings: Findings) -> Table:
    table = _make_table("Top customers by value", "customer", "contacts", "conversions", "value", "last contact")
    for row in findings.top_customers:
        table.add_row(
            row["customer_id"],
            f"{row['contacts']:,}",
            f"{row['conversions']:,}",
            f"{row['value']:,.2f}",
            f"{row['last_contact']:%Y-%m-%d}",
        )
    return table


def _make_example_table(findings: Findings) -> Table:
    names = ("period type", "period", "impressions", "positive", "negative", "conversions", "value")
    table = _make_table(f"One customer, {findings.example_id}", *names)
    previous = ""
    for row in findings.example_rows:
        numbers = (row["impressions"], row["positive"], row["negative"], row["conversions"])
        kind = "" if row["period_type"] == previous else row["period_type"]
        table.add_row(kind, row["period_key"], *(f"{number:,}" for number in numbers), f"{row['value']:,.2f}")
        previous = row["period_type"]
    return table


def _make_partition_table(replay: Replay) -> Table:
    table = _make_table("Lag per partition", "partition", "log end", "applied up to", "lag", "last batch by")
    for state in replay.partitions:
        table.add_row(
            str(state.partition), f"{state.end_offset:,}", f"{state.next_offset:,}", f"{state.lag:,}", state.worker
        )
    return table


def _make_table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for name in others:
        is_text = name in {"period", "last contact", "last batch by"}
        table.add_column(name, justify="left" if is_text else "right")
    return table
