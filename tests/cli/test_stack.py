"""``rapport up``: one command starts everything, and no process of it is left when it stops."""

from __future__ import annotations

import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from rapport.embedded.stack import StackPorts, find_free_stack_ports, plan_children, plan_stack, wipe
from rapport.embedded.supervisor.errors import DataDirInUseError, StackError
from rapport.embedded.supervisor.lock import DataDirLock
from tests.cli.commands import environment, port_arguments, run, running
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def count_contacts(env: Mapping[str, str], cwd: Path) -> int:
    query = "SELECT sum(impressions + positive + negative + neutral) FROM interaction_summaries \
WHERE tenant_id = 'demo' AND scope = 'offer' AND period_type = 'alltime'"
    done = run("sql", query, "--format", "TSV", env=env, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_events_flow_and_their_summaries_outlive_the_stack(tmp_path: Path):
    ports = find_free_stack_ports(1)
    env = environment() | plan_stack(tmp_path / "data", ports, 1, {}).connection
    up = ["up", "--data-dir", "data", *port_arguments(ports)]
    with running(*up, env=environment(KAFKA_BOOTSTRAP="elsewhere:1"), cwd=tmp_path) as stack:
        stack.wait_for("Ctrl-C stops everything")
        lines = (tmp_path / "data.env").read_text().splitlines()
        told = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        assert told == plan_stack(tmp_path / "data", ports, 1, {}).connection
        _assert_private(tmp_path, told)
        for secret in (told["CLICKHOUSE_PASSWORD"], told["RAPPORT_API_KEY_PEPPER"]):
            assert secret not in stack.output
        assert "in memory only" in stack.output
        assert run("tenant", "create", "demo", env=env, cwd=tmp_path).returncode == 0
        assert run("produce", "--dataset", "synthetic", "--events", "500", env=env, cwd=tmp_path).returncode == 0
        wait_until(lambda: count_contacts(env, tmp_path) == 500, "all is applied", seconds=60)
        assert stack.stop(signal.SIGTERM) == 0
    with running(*up, env=environment(), cwd=tmp_path) as stack:
        stack.wait_for("Ctrl-C stops everything")
        assert count_contacts(env, tmp_path) == 500
        again = run(*up, env=environment(), cwd=tmp_path)
        assert again.returncode == 1
        assert "is in use by another stack" in again.stderr
        assert (tmp_path / "data.env").exists()
        assert stack.stop(signal.SIGINT) == 0
    assert not (tmp_path / "data.env").exists()


def _assert_private(directory: Path, told: Mapping[str, str]) -> None:
    """Check that others can neither read the files of a stack nor see a secret in the list of processes."""
    for path in (directory / "data", directory / "data" / "logs", directory / "data" / "clickhouse"):
        assert path.stat().st_mode & 0o077 == 0, path
    for name in ("data.env", "data/clickhouse-password", "data/api-key-pepper"):
        assert (directory / name).stat().st_mode & 0o077 == 0, name
    secrets = [told["CLICKHOUSE_PASSWORD"], told["RAPPORT_API_KEY_PEPPER"]]
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    logs = [path.read_text("utf-8", "replace") for path in (directory / "data" / "logs").iterdir()]
    assert not [text for text in (*commands, *logs) if any(secret in text for secret in secrets)]


def test_a_port_in_use_is_named_with_the_option_that_changes_it(tmp_path: Path):
    ports = find_free_stack_ports(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.clickhouse))
        taken.listen()
        done = run("up", *port_arguments(ports), env=environment(), cwd=tmp_path)
    assert done.returncode == 1
    assert f"Port {ports.clickhouse} is already in use" in done.stderr
    assert "--clickhouse-port" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_stack_has_its_own_connections_and_inherits_the_rest(tmp_path: Path):
    environ = {
        "KAFKA_BOOTSTRAP": "elsewhere:9092",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "CLICKHOUSE_PASSWORD": "secret",
        "KAFKA_PARTITIONS": "8",
        "RAPPORT_WORKER_BATCH_MAX_EVENTS": "7",
        "PATH": "/bin",
    }
    plan = plan_stack(tmp_path, StackPorts(kafka=1, clickhouse=2, worker=3, api=5, jobs=6, state=7), 2, environ)
    assert plan.settings.kafka.bootstrap == "127.0.0.1:1"
    assert plan.settings.kafka.security_protocol == "PLAINTEXT"
    assert plan.settings.kafka.partitions == 8
    assert plan.settings.worker.batch_max_events == 7
    assert plan.environment["PATH"] == "/bin"
    assert plan.environment["CLICKHOUSE_PASSWORD"] != environ["CLICKHOUSE_PASSWORD"]
    children = plan_children(plan)
    assert [child.name for child in children] == [
        "broker",
        "valkey",
        "clickhouse",
        "worker-1",
        "worker-2",
        "api",
        "jobs",
    ]
    assert [claim.number for child in children for claim in child.ports] == [1, 7, 2, 3, 4, 5, 6]


def test_a_shell_reads_the_environment_file_exactly(tmp_path: Path):
    pepper = "32 characters; $(touch ran) `id` 'a'"
    plan = plan_stack(tmp_path / "data", StackPorts(), 1, {"RAPPORT_API_KEY_PEPPER": pepper})
    plan.write_env_file(tmp_path / "data.env")
    script = '. ./data.env; printf %s "$RAPPORT_API_KEY_PEPPER"'
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (pepper, "")
    assert not (tmp_path / "ran").exists()


def test_more_workers_than_partitions_are_refused(tmp_path: Path):
    with pytest.raises(StackError, match=r"5 workers .* has 4.*KAFKA_PARTITIONS.*--workers"):
        plan_stack(tmp_path, StackPorts(), 5, {})


def test_wiping_removes_the_files_of_a_stack_and_nothing_else(tmp_path: Path):
    for name in ("clickhouse/store/x", "logs/worker.log", "mine/precious"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.touch()
    wipe(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "stack.lock"]
    wipe(tmp_path / "new")


def test_wiping_refuses_while_a_stack_runs(tmp_path: Path):
    (tmp_path / "clickhouse").mkdir()
    lock = DataDirLock(tmp_path)
    lock.acquire()
    try:
        with pytest.raises(DataDirInUseError):
            wipe(tmp_path)
    finally:
        lock.release()
    assert (tmp_path / "clickhouse").exists()
