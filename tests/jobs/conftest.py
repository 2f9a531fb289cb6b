"""Processes of the lease's tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.jobs import JobProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rapport.settings import ClickHouseSettings
    from rapport.storage.client import Store
    from tests.fixtures.store import MigratedDatabase


@pytest.fixture
def place(store: Store, migrated_database: MigratedDatabase) -> ClickHouseSettings:  # noqa: ARG001 - it is emptied
    """Provide the settings of the database of `store`."""
    return migrated_database.settings


@pytest.fixture
def new_process(place: ClickHouseSettings, tmp_path: Path) -> Iterator[Callable[..., JobProcess]]:
    """Provide a factory of processes on that database, which are gone when the test is."""
    made: list[JobProcess] = []

    def make(**variables: str) -> JobProcess:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("CLICKHOUSE_", "RAPPORT_"))}
        env |= {"CLICKHOUSE_URL": place.url, "CLICKHOUSE_DATABASE": place.database, **variables}
        made.append(JobProcess(env, tmp_path))
        return made[-1]

    yield make
    for process in made:
        process.kill()
