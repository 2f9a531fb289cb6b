"""Demo session: a stack of its own, a data set replayed through it, a report of the results."""

from __future__ import annotations

import asyncio
import io
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rapport.datasets import cdnow
from rapport.datasets.catalogue import open_cdnow, open_synthetic
from rapport.datasets.synthetic import SyntheticSpec, compute_totals
from rapport.datasets.wheels import RegistryUnreachableError
from rapport.demo.findings import find_faults, read_findings
from rapport.demo.profile import read_profile, show_profile
from rapport.demo.replay import replay
from rapport.demo.report import NextSteps, show_next_steps, show_report, show_verdict
from rapport.demo.shop import ShopApi, decide_for, find_shop_faults, stock_shop
from rapport.demo.shop_report import show_decisions
from rapport.domain.api_keys import Role
from rapport.embedded.stack import plan_children, wipe
from rapport.embedded.supervisor.errors import StackError
from rapport.embedded.supervisor.supervisor import Stack
from rapport.storage.api_keys import create_key
from rapport.storage.client import connect
from rapport.storage.tenants import create_tenant

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from rapport.application.imports.feeds import Feed
    from rapport.datasets.totals import Totals
    from rapport.embedded.stack import StackPlan

TENANT: Final = "demo"
STAND_IN: Final = SyntheticSpec(events=70_000, customers=23_500, skew=1.1, seed=1997, tenant_id=TENANT)


@dataclass(frozen=True, slots=True)
class DemoData:
    """Data set to replay, with the expected totals of the summaries."""

    feed: Feed
    totals: Totals


def load_data(cache: Path, console: Console) -> DemoData:
    """Fetch CDNOW, or generate a stream of its size if no package registry is reachable.

    Raises:
        DatasetError: Another fault of the data set.
    """
    try:
        feed = open_cdnow(TENANT, cache)
    except RegistryUnreachableError as error:
        console.print(str(error).splitlines()[0], style="yellow", markup=False, highlight=False)
        console.print("So these are generated events instead of CDNOW's purchases.", style="yellow")
        return DemoData(open_synthetic(STAND_IN), compute_totals(STAND_IN))
    console.print(
        f"Data: CDNOW, {cdnow.TOTALS.events:,} purchases that {cdnow.TOTALS.customers:,} customers of an online "
        "CD store made in 1997 and 1998.",
        highlight=False,
        soft_wrap=True,
    )
    return DemoData(feed, cdnow.TOTALS)


class _FinishedError(Exception):
    """Ends a stack whose demo is complete."""


class Demo:
    """Runs the demo.

    Args:
        plan: The stack; its data directory is emptied first.
        data: Data set to replay.
        console: Console for the output.
        env_file: File for the stack's addresses while it is up; None: run once, check and stop.
        command: The user's command for ``rapport``.
    """

    def __init__(self, plan: StackPlan, data: DemoData, console: Console, env_file: Path | None, command: str) -> None:
        self._plan = plan
        self._data = data
        self._console = console
        self._env_file = env_file
        self._command = command
        self._faults: list[str] | None = None
        # the processes' own lines go to their log files; what the supervisor does to them is shown
        children = [replace(child, quiet=True) for child in plan_children(plan)]
        self._stack = Stack(children, plan.data_dir, stream=ConsoleStream(console))
        self._worker = next(child.name for child in reversed(children) if child.name.startswith("worker"))

    async def run(self) -> bool:
        """Run until Ctrl-C, or until the totals are checked if there is no env file.

        Returns:
            True if the totals were right, or the demo was stopped before they could be checked, unless it runs only
            to check them.

        Raises:
            StackError: The stack cannot start or broke down.
            ReplayError: The workers make no progress.
        """
        wipe(self._plan.data_dir)
        self._remove_env_file()
        try:
            with suppress(_FinishedError):
                await self._stack.run_until_stopped(self._present)
        finally:
            self._remove_env_file()
        return self._faults == [] or (self._faults is None and self._env_file is not None)

    async def _present(self) -> None:
        store = connect(self._plan.settings.clickhouse)
        try:
            create_tenant(store, TENANT, name="Demo")
            key, _ = create_key(
                store,
                TENANT,
                Role.ADMIN,
                self._plan.settings.api.key_pepper.reveal(),
                time.time_ns() // 1_000_000,
                name="demo",
            )
            stock_shop(store, TENANT)
            result = await replay(self._data.feed, self._plan.settings, store, self._console)
            findings = read_findings(store, TENANT)
        finally:
            store.close()
        self._faults = find_faults(findings, self._data.totals)
        show_report(self._console, findings, result)
        show_verdict(self._console, self._faults, self._data.totals)
        api = ShopApi(self._plan.api_url, key)
        show_profile(self._console, await asyncio.to_thread(read_profile, api, findings.example_id))
        loyal_id = findings.top_customers[0]["customer_id"]
        decisions = await asyncio.to_thread(decide_for, api, loyal_id)
        show_decisions(self._console, decisions)
        shop_faults = find_shop_faults(decisions)
        self._faults += shop_faults
        for fault in shop_faults:
            self._console.print(fault, style="bold red", markup=False)
        if self._env_file is None:
            raise _FinishedError
        self._write_env_file(self._env_file, key)
        steps = NextSteps(
            env_file=str(self._env_file),
            command=self._command,
            worker=self._worker,
            worker_pid=self._worker_pid(),
            customer_id=findings.example_id,
        )
        show_next_steps(self._console, self._plan, steps)

    def _worker_pid(self) -> str:
        try:
            return str(self._stack.pid(self._worker))
        except StackError:  # it was killed, and is being restarted
            return "PID"

    def _write_env_file(self, path: Path, key: str) -> None:
        own = {"RAPPORT_TENANT": TENANT, "RAPPORT_URL": self._plan.api_url, "RAPPORT_API_KEY": key}
        self._plan.write_env_file(path, own)

    def _remove_env_file(self) -> None:
        if self._env_file is not None:
            self._env_file.unlink(missing_ok=True)


class ConsoleStream(io.StringIO):
    """Stream whose lines appear above a console's progress bar."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def write(self, text: str) -> int:
        """Print a line."""
        self._console.print(text.rstrip("\n"), style="dim", markup=False, highlight=False, soft_wrap=True)
        return len(text)
