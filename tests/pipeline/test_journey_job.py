"""The journey job: it loads the decision engine only once a tenant has a journey."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.batch import AppliedRange
from pipeline.journey_job import JourneyJob
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue
from rapport.storage.tenants import create_tenant
from tests.domain.journeys.plans import WELCOME, journey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.storage.client import Store

LIST_DECISION_MODULES = """
import json, sys
import pipeline.app, pipeline.worker, rapport.cli.main, rapport.cli.worker
print(json.dumps([name for name in sys.modules if name.startswith("rapport.domain.decisions")]))
"""


class RunnerDouble:
    """Counter of the calls of a runner."""

    def __init__(self) -> None:
        self.runs, self.noted = 0, list[AppliedRange]()

    def note(self, ranges: Iterable[AppliedRange], _accepted: pl.DataFrame) -> None:
        self.noted += ranges

    async def run(self) -> None:
        self.runs += 1


def test_a_worker_without_journeys_imports_no_decision_engine():
    command = [sys.executable, "-c", LIST_DECISION_MODULES]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout.splitlines()[-1]) == []


def test_the_runner_is_made_once_the_first_journey_exists(store: Store):
    runner: Any = RunnerDouble()
    runners = iter([runner])
    job = JourneyJob(store, lambda: next(runners), refresh_s=0)
    first, second = AppliedRange("cluster/interactions/0", 0, 1), AppliedRange("cluster/interactions/0", 1, 2)
    welcome = EntityChange("journey", journey(*WELCOME[:2]))
    create_tenant(store, "acme")

    asyncio.run(job.run())
    job.note([first], pl.DataFrame())
    assert (runner.runs, runner.noted) == (0, [])

    change_catalogue(store, "acme", Author("tests"), lambda _before: [welcome])
    for _ in range(2):
        asyncio.run(job.run())
    job.note([second], pl.DataFrame())
    assert (runner.runs, runner.noted) == (2, [second])
