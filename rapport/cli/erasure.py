"""``rapport erasure``."""

from __future__ import annotations

import sys
import time
import uuid

import click

from rapport.cli.environment import open_store, read_settings
from rapport.domain.privacy import hash_customer
from rapport.storage.dsar import find_all_ids
from rapport.storage.erasure import WORKERS_KNOW_AFTER_S, Erasure, begin_erasure, count_remains, finish_erasure
from rapport.storage.erasure import sweep as sweep_tables
from rapport.storage.personal_data import ErasureScope, find_locations
from rapport.storage.tombstones import read_tombstones
from rapport.terminal import echo


@click.group()
def erasure() -> None:
    """Erase customers, and prove that nothing is left of them."""


@erasure.command()
@click.argument("tenant_id")
@click.argument("customer_ids", nargs=-1, required=True)
def run(tenant_id: str, customer_ids: tuple[str, ...]) -> None:
    """Erase a customer, with all who were merged; several ids if they are one person besides. Workers may run."""
    with open_store(read_settings()) as store:
        erased = ErasureScope(tenant_id, find_all_ids(store, tenant_id, customer_ids), time.time_ns() // 1_000_000)
        erasing = Erasure(erased, f"era-{uuid.uuid4().hex}", "rapport erasure run")
        begin_erasure(store, erasing)
        time.sleep(WORKERS_KNOW_AFTER_S)
        receipt = finish_erasure(store, erasing)
    for table, rows in sorted(receipt.deleted.items()):
        echo(f"{table}\t{rows}")
    if not receipt.deleted:
        echo("nothing was found of this customer: is the id right, and is it an id?", err=True)
    echo(f"receipt {receipt.receipt_id}: {'verified' if receipt.is_verified else 'NOT VERIFIED; run it again'}")
    sys.exit(0 if receipt.is_verified else 1)


@erasure.command()
@click.argument("tenant_id")
@click.argument("customer_id")
def verify(tenant_id: str, customer_id: str) -> None:
    """Look into every table that names customers; exit code 1 if something is left.

    What came after the erasure is all right. Of somebody who was never erased, everything is something.
    """
    now_ms = time.time_ns() // 1_000_000
    with open_store(read_settings()) as store:
        mine = hash_customer(tenant_id, customer_id)
        erased_at_ms = next((t.tombstone.erased_at_ms for t in read_tombstones(store) if t.customer_hash == mine), None)
        until_ms = now_ms if erased_at_ms is None else erased_at_ms
        traces = count_remains(store, ErasureScope(tenant_id, (customer_id,), until_ms))
        places = len({place.table for place in find_locations(store)})
    for table, rows in sorted(traces.items()):
        echo(f"{table}\t{rows}")
    if erased_at_ms is None:
        echo("there is no tombstone: a replay of the topic would bring this customer back", err=True)
    echo(f"{places} tables, {sum(traces.values())} rows")
    sys.exit(1 if traces or erased_at_ms is None else 0)


@erasure.command()
def sweep() -> None:
    """Delete what was written late of customers who were erased; `rapport jobs` does it once a day."""
    with open_store(read_settings()) as store:
        deleted = sweep_tables(store)
    for table, rows in sorted(deleted.items()):
        echo(f"{table}\t{rows}")
    echo(f"{sum(deleted.values())} rows deleted")
