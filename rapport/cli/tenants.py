"""``rapport tenant``."""

from __future__ import annotations

import click

from rapport.cli.environment import CliError, open_store, settings_from_environment
from rapport.storage.tenants import UnknownTimeZoneError, create_tenant, load_tenants


@click.group()
def tenant() -> None:
    """Create and list tenants."""


@tenant.command()
@click.argument("tenant_id")
@click.option("--name", default="", help="For people; the id if not given.")
@click.option("--time-zone", default="UTC", show_default=True, help="IANA name; calendar periods start there.")
def create(tenant_id: str, name: str, time_zone: str) -> None:
    """Create a tenant with the default outcome types."""
    with open_store(settings_from_environment()) as store:
        try:
            create_tenant(store, tenant_id, name=name, time_zone=time_zone)
        except UnknownTimeZoneError as error:
            raise CliError(str(error)) from error
    click.echo(f"tenant {tenant_id} is ready")


@tenant.command("list")
def list_tenants() -> None:
    """List the active tenants."""
    with open_store(settings_from_environment()) as store:
        for known in load_tenants(store).values():
            click.echo(f"{known.tenant_id}\t{known.time_zone}\t{known.name}")
