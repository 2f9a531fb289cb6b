"""``rapport retention``."""

from __future__ import annotations

import time

import click

from rapport.cli.environment import open_store, read_settings
from rapport.domain.retention import DataClass
from rapport.storage.retention import (
    RetentionConfig,
    apply_retention,
    list_tenants_with_retention,
    load_configs,
    save_config,
)
from rapport.terminal import echo


@click.group()
def retention() -> None:
    """Say how long data is kept, and delete what is older."""


@retention.command("set")
@click.argument("tenant_id")
@click.argument("data_class", type=click.Choice([one.value for one in DataClass]))
@click.option("--days", type=click.IntRange(0, 36_500), required=True, help="0 keeps it until its customer is erased.")
@click.option("--legal-hold", is_flag=True, help="Delete nothing of it for its age.")
def change(*, tenant_id: str, data_class: str, days: int, legal_hold: bool) -> None:
    """Say how long a tenant keeps one class of data."""
    config = RetentionConfig(
        data_class=DataClass(data_class),
        retention_days=days,
        legal_hold=legal_hold,
        changed_by="rapport retention set",
    )
    with open_store(read_settings()) as store:
        save_config(store, tenant_id, config)
    echo(f"{data_class} of {tenant_id}: {_describe(config)}")


@retention.command("show")
@click.argument("tenant_id")
def show(tenant_id: str) -> None:
    """Say how long a tenant keeps each class of data."""
    with open_store(read_settings()) as store:
        for config in load_configs(store, tenant_id):
            echo(f"{config.data_class}\t{_describe(config)}")


@retention.command()
def apply() -> None:
    """Delete what is too old, of every tenant; `rapport jobs` does it once a day."""
    with open_store(read_settings()) as store:
        now_ms = time.time_ns() // 1_000_000
        deleted = {
            (tenant_id, table): rows
            for tenant_id in list_tenants_with_retention(store)
            for table, rows in apply_retention(store, tenant_id, now_ms).items()
        }
    for (tenant_id, table), rows in sorted(deleted.items()):
        echo(f"{tenant_id}\t{table}\t{rows}")
    echo(f"{sum(deleted.values())} rows deleted")


def _describe(config: RetentionConfig) -> str:
    days = f"{config.retention_days} days" if config.retention_days else "kept"
    return f"{days}, legal hold" if config.legal_hold else days
