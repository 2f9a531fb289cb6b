"""``rapport catalog``: the catalogue as a file."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING

import click

from rapport.application.catalogue_files.line_numbers import CatalogueFileError
from rapport.application.catalogue_files.plan import (
    CataloguePlan,
    PlannedChange,
    describe_change,
    plan_catalogue,
    plan_entities,
)
from rapport.application.catalogue_files.reader import CatalogueFile, read_catalogue
from rapport.application.catalogue_files.writer import write_catalogue
from rapport.cli.environment import CliError, open_store, read_settings
from rapport.domain.catalogue_checks.lint import lint_catalogue
from rapport.storage.audit import audit_catalogue
from rapport.storage.catalogue import load_catalogue
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue
from rapport.storage.outcome_types import list_outcome_types, save_outcome_types
from rapport.storage.tenants import load_tenants
from rapport.terminal import echo

if TYPE_CHECKING:
    from rapport.application.catalogue_files.outcome_types import PlannedOutcomeChange
    from rapport.storage.catalogue import StoredCatalogue
    from rapport.storage.client import Store

AUTHOR = Author("rapport catalog apply")
_tenant = click.option("--tenant", "tenant_id", required=True, help="Whose catalogue.")
_prune = click.option("--prune", is_flag=True, help="Also delete what the file does not hold.")
_file = click.argument("file", type=click.File("r", encoding="utf-8"))


@click.group("catalog")
def catalogue() -> None:
    """Apply, compare and write out a tenant's catalogue (YAML)."""


@catalogue.command()
@_file
@_tenant
@_prune
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
def apply(*, file: IO[str], tenant_id: str, prune: bool, dry_run: bool) -> None:
    """Make the catalogue what FILE (- for standard input) says.

    All of it or nothing: with any fault in the file nothing changes, and all faults are named with their lines.
    """
    wanted = _read(file)
    with open_store(read_settings()) as store:
        _require_tenant(store, tenant_id)
        planned = _plan(store, tenant_id, file, wanted, prune=prune)
        if dry_run:
            _show(planned, done=False)
            return
        # All is validated by now. Outcome types go first, since they are harmless alone: should the catalogue turn out
        # to have been changed meanwhile so that the file does not fit any more, applying it again finds them done.
        _save_outcome_types(store, tenant_id, planned.outcome_types)
        steps: Sequence[PlannedChange] = ()

        def decide(before: StoredCatalogue) -> Sequence[EntityChange]:
            nonlocal steps
            try:
                steps, _ = plan_entities(wanted, before.entities, prune=prune)
            except CatalogueFileError as error:
                kept = "only its outcome types were changed" if planned.outcome_types else "nothing was changed"
                raise _make_error(file, error, kept) from error
            return list(_list_changes(steps))

        after = change_catalogue(store, tenant_id, AUTHOR, decide)
        audit_catalogue(store, tenant_id)
    _show(CataloguePlan(planned.outcome_types, steps, after.entities), done=True)


@catalogue.command()
@_file
@_tenant
@_prune
def diff(*, file: IO[str], tenant_id: str, prune: bool) -> None:
    """Say what `apply` would change."""
    wanted = _read(file)
    with open_store(read_settings()) as store:
        _require_tenant(store, tenant_id)
        _show(_plan(store, tenant_id, file, wanted, prune=prune), done=False)


@catalogue.command()
@click.argument("file", type=click.File("w", encoding="utf-8", atomic=True))
@_tenant
def export(*, file: IO[str], tenant_id: str) -> None:
    """Write the catalogue to FILE (- for standard output); applying that changes nothing."""
    with open_store(read_settings()) as store:
        _require_tenant(store, tenant_id)
        stored = load_catalogue(store, tenant_id)
        outcome_types = list_outcome_types(store, tenant_id)
    for problem in stored.faults:
        echo(f"left out, because it cannot be read: {problem}", err=True)
    file.write(write_catalogue(stored.entities, outcome_types))


def _read(file: IO[str]) -> CatalogueFile:
    try:
        return read_catalogue(file.read())
    except UnicodeDecodeError as error:
        raise CliError(f"{file.name} is not UTF-8: {error.reason} at byte {error.start}") from error
    except CatalogueFileError as error:
        raise _make_error(file, error) from error


def _plan(store: Store, tenant_id: str, file: IO[str], wanted: CatalogueFile, *, prune: bool) -> CataloguePlan:
    known, entities = list_outcome_types(store, tenant_id), load_catalogue(store, tenant_id).entities
    try:
        return plan_catalogue(wanted, known, entities, prune=prune)
    except CatalogueFileError as error:
        raise _make_error(file, error) from error


def _make_error(file: IO[str], error: CatalogueFileError, kept: str = "nothing was changed") -> CliError:
    count = "one fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
    return CliError("\n".join([f"{file.name} has {count}; {kept}.", *map(str, error.faults)]))


def _save_outcome_types(store: Store, tenant_id: str, steps: Sequence[PlannedOutcomeChange]) -> None:
    changes = [(step.newest, step.record) for step in steps]
    stored = save_outcome_types(store, tenant_id, changes, AUTHOR, time.time_ns() // 1_000_000)
    if lost := [step.id for step, one in zip(steps, stored, strict=True) if one is None]:
        raise CliError(
            f"outcome types were changed by another request at the same time: {', '.join(lost)}. Apply the file "
            "again; the catalogue is as it was."
        )


def _list_changes(steps: Iterable[PlannedChange]) -> Iterable[EntityChange]:
    for step in steps:
        if step.after is not None:
            yield EntityChange(step.kind, step.after)
        elif step.before is not None:
            yield EntityChange(step.kind, step.before, is_deleted=True)


def _show(planned: CataloguePlan, *, done: bool) -> None:
    steps: Sequence[PlannedChange | PlannedOutcomeChange] = [*planned.outcome_types, *planned.entities]
    for step in steps:
        for line in describe_change(step):
            echo(line)
    made = sum(step.before is None for step in steps)
    deleted = sum(step.after is None for step in steps)
    summary = f"{made} made, {len(steps) - made - deleted} changed, {deleted} deleted"
    echo(summary if done else f"would be: {summary}")
    for finding in lint_catalogue(planned.after):
        field = f", {finding.field}" if finding.field else ""
        echo(f"warning: {finding.kind} {finding.id}{field}: {finding.message} ({finding.code})", err=True)


def _require_tenant(store: Store, tenant_id: str) -> None:
    if tenant_id not in load_tenants(store):
        raise CliError(f"there is no tenant {tenant_id!r}; create it with `rapport tenant create {tenant_id}`.")
