"""``rapport key`` and ``rapport tenant set``: their changes and their refusals."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from rapport.cli.environment import CliError
from rapport.cli.main import cli
from rapport.domain.api_keys import Role, hash_key
from rapport.settings import ClickHouseSettings
from rapport.storage.api_keys import find_key
from rapport.storage.audit import AuditFilter, read_audit
from rapport.storage.client import connect
from rapport.storage.migrations import migrate
from rapport.storage.tenants import load_tenants
from tests.fixtures.store import make_database_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

    from rapport.storage.client import Store

PEPPER = "a-pepper-of-the-tests"


class TenantCommands:
    """Runner of the commands on a database of their own, with a tenant `t1`."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        migrate(settings)
        self.store: Store = connect(settings)
        self._env = {"CLICKHOUSE_URL": settings.url, "CLICKHOUSE_DATABASE": settings.database}
        self("tenant", "create", "t1")

    def __call__(self, *arguments: str, pepper: str = PEPPER) -> Result:
        return CliRunner().invoke(cli, arguments, env={**self._env, "RAPPORT_API_KEY_PEPPER": pepper})


@pytest.fixture
def run(clickhouse_url: str, database: str) -> Iterator[TenantCommands]:
    runs = TenantCommands(make_database_settings(clickhouse_url, database))
    with closing(runs.store):
        yield runs


def test_a_key_is_made_listed_revoked_and_audited(run: TenantCommands):
    secret = run("key", "create", "t1", "--role", "editor", "--name", "shop", "--scope", "respond").stdout.strip()
    stored = find_key(run.store, hash_key(secret, PEPPER))
    assert stored is not None
    assert (stored.tenant_id, stored.role, stored.scopes) == ("t1", Role.EDITOR, ("respond",))
    listed = run("key", "list", "t1").stdout
    assert listed == f"{stored.key_id}\t{stored.prefix}\teditor\tshop\tnever expires\tnever used\n"
    assert f"{stored.key_id} is revoked" in run("key", "revoke", "t1", stored.key_id, "--reason", "lost").stdout
    assert run("key", "list", "t1").stdout == ""
    again = run("key", "revoke", "t1", stored.key_id)
    assert isinstance(again.exception, CliError)
    assert "has no valid key" in str(again.exception)
    entries, _ = read_audit(run.store, "t1", AuditFilter(entity_type="api_key"))
    assert [(one.action, one.actor, one.entity_id) for one in entries] == [
        ("revoke", "rapport key revoke", stored.key_id),
        ("create", "rapport key create", stored.key_id),
    ]
    assert stored.prefix not in str(entries)
    assert stored.key_hash not in str(entries)


@pytest.mark.parametrize(
    ("arguments", "pepper", "reason"),
    [
        (("key", "create", "t1", "--role", "viewer"), "", "RAPPORT_API_KEY_PEPPER must be set"),
        (("key", "create", "t1", "--role", "viewer", "--expires", "2020-01-01"), PEPPER, "in the future"),
        (("key", "create", "t9", "--role", "viewer"), PEPPER, "`rapport tenant create t9`"),
        (("tenant", "set", "t9", "--decision-quota", "5"), PEPPER, "t9"),
        (("tenant", "set", "t1"), PEPPER, "nothing to change"),
    ],
)
def test_impossible_requests_are_refused_with_the_reason(
    run: TenantCommands, arguments: tuple[str, ...], pepper: str, reason: str
):
    refused = run(*arguments, pepper=pepper)
    assert refused.exit_code == 1
    assert isinstance(refused.exception, CliError)
    assert reason in str(refused.exception)
    assert run("key", "list", "t1").stdout == ""


def test_a_tenants_settings_change_one_by_one(run: TenantCommands):
    assert run("tenant", "set", "t1", "--requests-per-minute", "7", "--strict-catalogue").exit_code == 0
    assert run("tenant", "set", "t1", "--holdout-percent", "2.5", "--consent-required").exit_code == 0
    settings = load_tenants(run.store)["t1"].settings
    assert (settings.requests_per_minute, settings.is_catalogue_strict) == (7, True)
    assert (settings.holdout_percent, settings.requires_consent) == (2.5, True)


@pytest.mark.parametrize(
    "options", [("--scope", "elsewhere"), ("--expires", "9999-12-31"), ("--expires", "2100-01-02"), ("--scope", "")]
)
def test_a_key_with_useless_scopes_or_a_late_expiry_is_refused(run: TenantCommands, options: tuple[str, ...]):
    result = run("key", "create", "t1", "--role", "viewer", *options)
    assert isinstance(result.exception, CliError)
    assert options[0] in str(result.exception)
    assert run("key", "list", "t1").stdout == ""


@pytest.mark.parametrize("tenant_id", ["", "a:b", "a\x1b[2J", "a" * 65])
def test_a_tenant_id_must_fit_into_keys_and_paths(run: TenantCommands, tenant_id: str):
    result = run("tenant", "create", "--", tenant_id)
    assert isinstance(result.exception, CliError)
    assert "letters, digits" in str(result.exception)
    assert run("tenant", "list").stdout == "t1\tUTC\tt1\n"


def test_an_audit_log_is_checked_against_an_anchor(run: TenantCommands):
    run("key", "create", "t1", "--role", "viewer")
    anchor = run("audit", "verify", "t1").stdout.strip()
    assert anchor.startswith("1:")
    run("key", "create", "t1", "--role", "viewer")
    assert run("audit", "verify", "t1", "--anchor", anchor).exit_code == 0
    cut = run("audit", "verify", "t1", "--anchor", f"9:{anchor[2:]}")
    assert (cut.exit_code, cut.stderr) == (1, "broken at entry 3: anchor_missing\n")
    assert isinstance(run("audit", "verify", "t1", "--anchor", "nonsense").exception, CliError)
