"""``rapport status`` shows who runs the background jobs, and the state of each."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from rapport.application.background_jobs import SCHEDULES
from rapport.cli.main import cli
from rapport.jobs import JobState
from rapport.storage.client import connect
from rapport.storage.jobs import claim_term, write_job_states
from rapport.storage.migrations import migrate
from tests.fixtures.store import make_database_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rapport.storage.client import Store


@pytest.fixture
def migrated(clickhouse_url: str, database: str) -> Iterator[Store]:
    settings = make_database_settings(clickhouse_url, database)
    migrate(settings)
    with closing(connect(settings)) as store:
        yield store


def read_jobs(clickhouse_url: str, database: str) -> tuple[str, dict[str, str]]:
    """Return the holder and the row of each job, as the command shows them."""
    settings = make_database_settings(clickhouse_url, database)
    env = {"CLICKHOUSE_URL": settings.url, "CLICKHOUSE_DATABASE": database, "KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    result = CliRunner().invoke(cli, ["status"], env=env)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    holder = next(line for line in lines if line.startswith("background jobs:"))
    return holder, {name: line for name in SCHEDULES for line in lines if f" {name} " in line}


@pytest.mark.usefixtures("migrated")
def test_jobs_that_no_process_runs_are_late(clickhouse_url: str, database: str):
    holder, rows = read_jobs(clickhouse_url, database)
    assert "nobody" in holder
    assert "rapport jobs" in holder
    assert rows.keys() == SCHEDULES.keys()
    assert all(" late " in row for row in rows.values())


def test_the_holder_and_the_state_of_each_job_are_shown(migrated: Store, clickhouse_url: str, database: str):
    now_s = time.time()
    claim_term(migrated, 1, "host:7:abc", 60_000)
    done = JobState(name="segments", every_s=5, succeeded_at=now_s - 3, duration_s=0.2, due_at=now_s + 90)
    failed = JobState(name="sweep", every_s=5, failed_at=now_s, failures=2, error="KeyError", due_at=now_s + 90)
    write_job_states(migrated, [done, failed], 1, 1)
    holder, rows = read_jobs(clickhouse_url, database)
    assert "host:7:abc" in holder
    assert " ok " in rows["segments"]
    assert " 0.2 s " in rows["segments"]
    assert " failing " in rows["sweep"]
    assert "KeyError" in rows["sweep"]
    assert " waiting " in rows["retention"]
