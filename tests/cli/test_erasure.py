"""``rapport erasure`` and ``rapport retention`` as an operator runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rapport.storage.tenants import create_tenant
from tests.cli.commands import environment, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from rapport.storage.client import Store


@pytest.fixture
def rapport(store: Store, clickhouse_url: str, tmp_path: Path) -> Callable[..., CompletedProcess[str]]:
    """Provide a runner of the command on the store."""
    create_tenant(store, "acme")
    env = environment(CLICKHOUSE_URL=clickhouse_url, CLICKHOUSE_DATABASE=store.client.database)
    return lambda *arguments: run(*arguments, env=env, cwd=tmp_path)


def put(store: Store, customer: str, days_ago: int = 0) -> None:
    at = f"now64(3) - INTERVAL {days_ago} DAY"
    store.execute(
        "INSERT INTO interaction_log (tenant_id, customer_id, id, received_at, occurred_at, category) "
        f"SELECT 'acme', '{customer}', '{customer}{days_ago}', {at}, {at}, 'recommendation'"
    )


def test_an_erasure_is_verified_and_late_traces_are_swept(store: Store, rapport: Callable[..., CompletedProcess[str]]):
    put(store, "ann")
    unknown = rapport("erasure", "verify", "acme", "ann")
    assert (unknown.returncode, "interactions\t1" in unknown.stdout) == (1, True)
    erased = rapport("erasure", "run", "acme", "ann")
    assert (erased.returncode, "verified" in erased.stdout) == (0, True), erased.stderr
    assert rapport("erasure", "verify", "acme", "ann").returncode == 0
    put(store, "ann", 1)
    found = rapport("erasure", "verify", "acme", "ann")
    assert (found.returncode, found.stdout.splitlines()[0]) == (1, "interactions\t1")
    assert "1 rows deleted" in rapport("erasure", "sweep").stdout
    assert rapport("erasure", "verify", "acme", "ann").returncode == 0


def test_retention_is_set_shown_and_applied(store: Store, rapport: Callable[..., CompletedProcess[str]]):
    put(store, "ann", 40)
    put(store, "ann", 1)
    assert "30 days" in rapport("retention", "set", "acme", "interactions", "--days", "30").stdout
    assert "interactions\t30 days" in rapport("retention", "show", "acme").stdout.splitlines()
    assert "acme\tinteractions\t1" in rapport("retention", "apply").stdout.splitlines()
    assert "0 rows deleted" in rapport("retention", "apply").stdout
