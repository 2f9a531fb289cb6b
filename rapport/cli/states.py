"""``rapport state``: the customer states in Valkey."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError
from rich.table import Table

from rapport.application.decisions.maintain_states import read_stream_coverage, verify_states, warm_states
from rapport.cli.environment import CliError, open_store, read_settings
from rapport.domain.periods import DAY_MS
from rapport.state.customer_states import CustomerStates
from rapport.state.shared_state import connect_shared_state
from rapport.terminal import make_console

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from rapport.settings import Settings

SHOWN = 10


@click.group()
def state() -> None:
    """Load, compare, forget and describe the customer states in Valkey."""


@state.command()
@click.option("--days", type=click.IntRange(1, 3_650), default=30, show_default=True, help="Contacted since so long.")
def warm(*, days: int) -> None:
    """Load the states of the customers who were contacted in the last days, so that decisions need no table."""
    settings = read_settings()
    _run(_warm(settings, days))


async def _warm(settings: Settings, days: int) -> None:
    began, stored = time.monotonic(), 0
    now_ms = time.time_ns() // 1_000_000
    async with _open_states(settings) as states:
        with open_store(settings) as store:
            covered = await read_stream_coverage(store, states, settings.kafka)
            if not covered.is_usable:
                raise CliError("the states do not cover the stream: is a worker running, with the same Valkey?")
            since_ms = now_ms - days * DAY_MS
            async for count in warm_states(store, states, covered, since_ms=since_ms, now_ms=now_ms):
                stored += count
    make_console().print(f"{stored:,} states loaded in {time.monotonic() - began:.1f} s")


@state.command()
def verify() -> None:
    """Compare all states with the tables; exit code 1 if any differs."""
    settings = read_settings()
    _run(_verify(settings))


async def _verify(settings: Settings) -> None:
    console = make_console()
    async with _open_states(settings) as states:
        with open_store(settings) as store:
            result = await verify_states(store, states, lambda: read_stream_coverage(store, states, settings.kafka))
    console.print(f"{result.compared:,} states compared")
    console.print(f"drift {len(result.differing)}")
    for key in result.differing[:SHOWN]:
        console.print(f"  {key.tenant_id} {key.customer_id}")
    sys.exit(1 if result.differing else 0)


@state.command()
def drop() -> None:
    """Forget all states; decisions load them anew."""
    settings = read_settings()
    _run(_drop(settings))


async def _drop(settings: Settings) -> None:
    async with _open_states(settings) as states:
        make_console().print(f"{await states.drop():,} states forgotten")


@state.command("status")
def show_status() -> None:
    """Show how far the states cover the stream, how many there are and the memory they take."""
    settings = read_settings()
    _run(_show(settings))


async def _show(settings: Settings) -> None:
    console = make_console()
    async with _open_states(settings) as states:
        with open_store(settings) as store:
            covered = await read_stream_coverage(store, states, settings.kafka)
        usage = await states.measure()
    table = Table("source", "next offset", "covered up to")
    positions = {} if covered.coverage is None else covered.coverage.positions
    for source, offset in sorted(covered.progress.items()):
        table.add_row(source, f"{offset:,}", f"{positions[source]:,}" if source in positions else "-")
    console.print(table)
    console.print(f"decisions use them: {'yes' if covered.is_usable else 'no, they read ClickHouse'}")
    limit = f" of {usage.max_bytes / 1e6:,.0f} MB" if usage.max_bytes else ""
    console.print(f"{usage.keys:,} keys, {usage.used_bytes / 1e6:,.1f} MB{limit}, {usage.evicted:,} evicted")


@asynccontextmanager
async def _open_states(settings: Settings) -> AsyncIterator[CustomerStates]:
    shared = connect_shared_state(settings.state_url)
    if shared is None:
        raise CliError("RAPPORT_STATE_URL is not set: there are no customer states")
    try:
        yield CustomerStates(shared)
    finally:
        await shared.close()


def _run(work: Coroutine[None, None, None]) -> None:
    try:
        asyncio.run(work)
    except RedisError as error:
        raise CliError(f"Valkey does not answer: {error}") from error
    except (KafkaError, OSError) as error:
        raise CliError(f"Kafka does not answer: {error}") from error
