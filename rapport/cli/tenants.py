"""``rapport tenant``."""

from __future__ import annotations

import click

from rapport.cli.environment import CliError, open_store, read_settings
from rapport.domain.tenants import MAX_REQUESTS_PER_MINUTE
from rapport.storage.tenants import (
    InvalidTenantIdError,
    UnknownTenantError,
    UnknownTimeZoneError,
    change_tenant,
    create_tenant,
    load_tenants,
)
from rapport.terminal import echo, echo_row


@click.group()
def tenant() -> None:
    """Create and list tenants."""


@tenant.command()
@click.argument("tenant_id")
@click.option("--name", default="", help="For people; the id if not given.")
@click.option("--time-zone", default="UTC", show_default=True, help="IANA name; calendar periods start there.")
def create(tenant_id: str, name: str, time_zone: str) -> None:
    """Create a tenant with the default outcome types."""
    with open_store(read_settings()) as store:
        try:
            create_tenant(store, tenant_id, name=name, time_zone=time_zone)
        except (InvalidTenantIdError, UnknownTimeZoneError) as error:
            raise CliError(str(error)) from error
    echo(f"tenant {tenant_id} is ready")


@tenant.command("set")
@click.argument("tenant_id")
@click.option(
    "--requests-per-minute",
    type=click.IntRange(1, MAX_REQUESTS_PER_MINUTE),
    help="What the API lets all its keys together ask for.",
)
@click.option(
    "--strict-catalogue/--lenient-catalogue",
    "is_catalogue_strict",
    default=None,
    help="Whether responses that name unknown offers, creatives or channels are refused.",
)
@click.option("--decision-quota", type=click.IntRange(0), help="Recommendations it may ask for in all; 0: no limit.")
@click.option(
    "--holdout-percent",
    type=click.FloatRange(0, 100),
    help="Share of customers who get the fallback, so that what flows decide can be compared with it.",
)
@click.option(
    "--consent-required/--consent-assumed",
    "requires_consent",
    default=None,
    help="Whether customers of whom nothing is known may not be contacted.",
)
@click.option(
    "--consent-records-only/--consent-attributes",
    "is_consent_record_canonical",
    default=None,
    help="Whether attributes such as consent_email count where no consent is recorded.",
)
def change(tenant_id: str, **settings: float | bool | None) -> None:
    """Change how the API treats a tenant; takes effect within seconds."""
    chosen = {name: value for name, value in settings.items() if value is not None}
    if not chosen:
        raise CliError("nothing to change: name at least one option, see `rapport tenant set --help`.")
    with open_store(read_settings()) as store:
        try:
            change_tenant(store, tenant_id, **chosen)
        except UnknownTenantError as error:
            raise CliError(str(error)) from error
    echo(f"tenant {tenant_id} is changed")


@tenant.command("list")
def list_tenants() -> None:
    """List the active tenants."""
    with open_store(read_settings()) as store:
        for known in load_tenants(store).values():
            echo_row(known.tenant_id, known.time_zone, known.name)
