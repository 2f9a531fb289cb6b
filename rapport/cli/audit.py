"""``rapport audit``."""

from __future__ import annotations

import sys

import click

from rapport.cli.environment import CliError, open_store, read_settings
from rapport.domain.audit import parse_anchor
from rapport.storage.audit import audit_catalogue, verify_audit
from rapport.terminal import echo


@click.group()
def audit() -> None:
    """Check tenants' audit logs."""


@audit.command()
@click.argument("tenant_id")
@click.option("--anchor", "kept", help="What an earlier run has printed: is the chain still that one?")
def verify(tenant_id: str, kept: str | None) -> None:
    """Check the chain of a tenant's audit log, and print the anchor of its newest entry; exit code 1 if it is broken.

    A chain that was cut off at its end, or written anew, is whole in itself. Keep what is printed outside of the
    database, and name it the next time.
    """
    anchor = None if kept is None else parse_anchor(kept)
    if kept is not None and anchor is None:
        raise CliError("--anchor must be what `rapport audit verify` has printed, as 42:9f86d081…")
    with open_store(read_settings()) as store:
        audit_catalogue(store, tenant_id)
        verdict = verify_audit(store, tenant_id, anchor)
    if verdict.broken_at is not None:
        echo(f"broken at entry {verdict.broken_at}: {verdict.reason}", err=True)
        sys.exit(1)
    echo(str(verdict.head or "empty"))
