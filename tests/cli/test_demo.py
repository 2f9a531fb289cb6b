"""``rapport demo``: exact totals from real purchases, an environment file, and no process left behind."""

from __future__ import annotations

import asyncio
import io
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from rapport.datasets.catalogue import open_synthetic
from rapport.datasets.synthetic import SyntheticSpec, compute_totals
from rapport.datasets.totals import Totals
from rapport.demo.findings import Findings, PeriodTotals, find_faults
from rapport.demo.session import Demo, DemoData
from rapport.embedded.stack import find_free_stack_ports, plan_stack
from rapport.state_url import parse_state_url
from tests.cli.commands import environment, port_arguments, run, running
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

TOTALS = Totals(events=3, customers=2, total_value=Decimal("1.50"))
PERIODS = ["daily", "weekly", "monthly", "alltime"]


def test_once_checks_the_totals_of_cdnow(tmp_path: Path):
    done = run("demo", "--once", env=environment(XDG_CACHE_HOME=str(tmp_path)), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "Exact: 69,659 accepted events, 23,570 customers, $2,500,315.63; daily = weekly = monthly = alltime."
        in done.stdout
    )
    assert "Unified profile of 09440" in done.stdout
    assert "5 purchases, together 913.91" in done.stdout
    assert "Why not rock-box? Each offer three times a day: cap reached: 3/3" in done.stdout.replace("\n", " ")
    rows = [line.split() for line in done.stdout.splitlines() if line.split()[:1] and line.split()[0] in PERIODS]
    assert [row[0] for row in rows[:4]] == PERIODS
    assert {tuple(row[3:]) for row in rows[:4]} == {("23,570", "69,659", "2,500,315.63")}
    assert [path.name for path in (tmp_path / ".rapport").iterdir()] == ["demo-once"]


def test_once_without_a_registry_says_so_and_checks_generated_events(tmp_path: Path):
    env = environment(XDG_CACHE_HOME=str(tmp_path), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    done = run("demo", "--once", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lifetimes==0.11.3, which holds the data, could not be downloaded" in done.stdout
    assert "generated events instead of CDNOW" in done.stdout
    assert "Exact: 70,000 accepted events" in done.stdout


def test_the_demo_stays_up_survives_a_killed_worker_and_stops_cleanly(tmp_path: Path):
    ports = find_free_stack_ports(1)
    env = environment(XDG_CACHE_HOME=str(tmp_path))
    env_file = tmp_path / ".rapport" / "demo.env"
    arguments = ["demo", *port_arguments(ports)]
    with running(*arguments, env=env, cwd=tmp_path) as demo:
        demo.wait_for("drift 0")
        written = dict(line.removeprefix("export ").split("=", 1) for line in env_file.read_text().splitlines())
        secrets = [written.pop(name) for name in ("RAPPORT_API_KEY", "RAPPORT_API_KEY_PEPPER", "CLICKHOUSE_PASSWORD")]
        assert secrets[0].startswith("krn_")
        assert [len(secret) for secret in secrets[1:]] == [64, 64]
        state_url = parse_state_url(written.pop("RAPPORT_STATE_URL"))
        assert state_url.hosts == (("127.0.0.1", ports.state),)
        secrets.append(state_url.password or "")
        assert len(secrets[-1]) == 64
        assert env_file.stat().st_mode & 0o777 == 0o600
        assert written == {
            "RAPPORT_TENANT": "demo",
            "RAPPORT_URL": f"http://127.0.0.1:{ports.api}",
            "KAFKA_BOOTSTRAP": f"127.0.0.1:{ports.kafka}",
            "KAFKA_IDEMPOTENT_PRODUCER": "false",
            "CLICKHOUSE_URL": f"http://127.0.0.1:{ports.clickhouse}",
            "CLICKHOUSE_USER": "default",
        }
        assert not [secret for secret in secrets if secret in demo.output]
        _kill_worker(demo.output)
        demo.wait_for("worker was killed by SIGKILL; restarting it")
        demo.wait_for("worker is ready", times=2)
        assert "1,000 events sent" in _shell(tmp_path, "rapport produce --dataset synthetic --events 1000")
        contacts = "SELECT count() FROM interactions WHERE category != 'recommendation'"
        count = f'rapport sql "{contacts}" --format TSV'
        expected = 69_659 + 1_000 + 1  # and the click on what was recommended
        wait_until(lambda: _shell(tmp_path, count) == f"{expected}\n", "all is applied", seconds=60)
        assert "drift 0" in _shell(tmp_path, "rapport reconcile")
        other = run(*arguments, env=env, cwd=tmp_path)
        assert other.returncode == 1
        assert "is in use by another stack" in other.stderr
        assert env_file.exists()
        assert demo.stop(signal.SIGINT) == 0
    assert not env_file.exists()


def test_ctrl_c_before_the_demo_is_ready_stops_it(tmp_path: Path):
    ports = find_free_stack_ports(1)
    with running("demo", *port_arguments(ports), env=environment(XDG_CACHE_HOME=str(tmp_path)), cwd=tmp_path) as demo:
        demo.wait_for("broker is ready")
        assert demo.stop(signal.SIGINT) == 0
    assert not (tmp_path / ".rapport" / "demo.env").exists()


def test_once_fails_when_a_total_is_off_by_a_cent(tmp_path: Path):
    spec = SyntheticSpec(events=300, customers=20, tenant_id="demo")
    totals = compute_totals(spec)
    wrong = replace(totals, total_value=totals.total_value + Decimal("0.01"))
    printed = io.StringIO()
    plan = plan_stack(tmp_path, find_free_stack_ports(1), 1, os.environ)
    demo = Demo(plan, DemoData(open_synthetic(spec), wrong), Console(file=printed, width=200), None, "rapport")
    assert asyncio.run(demo.run()) is False
    assert "total value in daily summaries" in printed.getvalue()
    assert "Exact" not in printed.getvalue()


def test_correct_totals_have_no_faults():
    assert find_faults(_findings(), TOTALS) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: replace(f, events=4), "accepted events: 4, expected 3"),
        (lambda f: replace(f, customers=1), "customers in the history: 1, expected 2"),
        (lambda f: replace(f, periods=f.periods[1:]), "period types"),
        (
            lambda f: replace(f, periods=[*f.periods[:3], replace(f.periods[3], value=Decimal("1.49"))]),
            "total value in alltime summaries: 1.49, expected 1.50",
        ),
        (
            lambda f: replace(f, periods=[replace(f.periods[0], contacts=2), *f.periods[1:]]),
            "contacts in daily summaries: 2, expected 3",
        ),
    ],
)
def test_a_wrong_total_is_named(change: Callable[[Findings], Findings], says: str):
    (fault,) = find_faults(change(_findings()), TOTALS)
    assert fault.startswith(says)


def _findings() -> Findings:
    return Findings(
        events=3,
        customers=2,
        periods=[
            PeriodTotals(period_type=name, rows=3, customers=2, periods=1, contacts=3, value=Decimal("1.500000"))
            for name in PERIODS
        ],
        top_customers=[],
        example_id="",
        example_rows=[],
    )


def _kill_worker(output: str) -> None:
    pid = output.partition("kill -9 ")[2].split(";")[0]
    os.kill(int(pid), signal.SIGKILL)


def _shell(directory: Path, command: str) -> str:
    """Run a command as the documents do: in a shell that has read the demo's file."""
    path = shlex.quote(str(Path(sys.executable).parent))
    script = f'set -e; . .rapport/demo.env; PATH={path}:"$PATH"; {command}'
    return subprocess.run(
        ["bash", "-c", script], cwd=directory, env=environment(), check=True, capture_output=True, text=True
    ).stdout
