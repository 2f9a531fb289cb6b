from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from clickhouse_connect.driver.exceptions import Error

from rapport.embedded.supervisor.ports import LOOPBACK, find_free_port
from tests.fixtures.clickhouse import EndpointProcess, connect
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD_FILE = Path(__file__)  # any text will do
MODULE = [sys.executable, "-m", "rapport.embedded.clickhouse.endpoint"]
SLOW = "SELECT sleepEachRow(0.5) FROM numbers({rows}) SETTINGS max_block_size = 1"


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[EndpointProcess]:
    process = EndpointProcess(tmp_path / "clickhouse")
    process.start()
    yield process
    process.kill()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    given = [*MODULE, "--password-file", str(PASSWORD_FILE), *arguments]
    return subprocess.run(given, capture_output=True, text=True, timeout=60, check=False)


def wait_for_query(url: str, needle: str) -> None:
    sql = f"SELECT count() FROM system.processes WHERE query LIKE '%{needle}%' AND query NOT LIKE '%processes%'"
    wait_until(lambda: httpx.post(url, content=sql).text == "1\n", f"{needle} runs")


class Query:
    """A query in a thread of its own."""

    def __init__(self, url: str, sql: str) -> None:
        self.answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._run, args=(url, sql))
        self._thread.start()

    def join(self) -> httpx.Response | None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.answer

    def _run(self, url: str, sql: str) -> None:
        try:
            self.answer = httpx.post(url, content=sql, timeout=60)
        except httpx.TransportError:
            self.answer = None


def test_a_restart_keeps_all_rows(endpoint: EndpointProcess):
    with connect(endpoint.url) as client:
        client.command("CREATE DATABASE d")
        client.command("CREATE TABLE d.t (a Int64) ENGINE = MergeTree ORDER BY a")
        client.command("CREATE VIEW d.v AS SELECT sum(a) AS total FROM d.t")
        client.insert("t", [[1], [2]], column_names=["a"], database="d")
    endpoint.stop()
    endpoint.start()
    with connect(endpoint.url, database="d") as client:
        assert client.query("SELECT total FROM v").result_rows == [(3,)]


def test_kill_9_loses_no_acknowledged_row(endpoint: EndpointProcess):
    acknowledged: list[int] = []
    sent: list[int] = []

    def insert() -> None:
        with connect(endpoint.url, database="d") as client:
            for number in range(len(sent), 10**9):
                sent.append(number)
                try:
                    client.insert("t", [[number]], column_names=["a"], column_type_names=["Int64"])
                except Error:
                    return
                acknowledged.append(number)

    with connect(endpoint.url) as client:
        client.command("CREATE DATABASE d")
        client.command("CREATE TABLE d.t (a Int64) ENGINE = MergeTree ORDER BY a")
    for _ in range(3):
        enough = len(acknowledged) + 40
        thread = threading.Thread(target=insert)
        thread.start()
        wait_until(lambda enough=enough: len(acknowledged) > enough, "rows are acknowledged", seconds=30)
        endpoint.kill()
        thread.join()
        endpoint.start()
        with connect(endpoint.url, database="d") as client:
            stored = client.query("SELECT a FROM t ORDER BY a").result_columns[0]
        assert set(acknowledged) <= set(stored) <= set(sent)
        assert len(stored) == len(set(stored))


def test_a_stop_waits_for_running_queries(endpoint: EndpointProcess):
    query = Query(endpoint.url, SLOW.format(rows=3))
    wait_for_query(endpoint.url, "sleepEachRow")
    endpoint.stop()
    answer = query.join()
    assert answer is not None
    assert answer.text == "0\n" * 3
    assert "killing" not in endpoint.log


def test_a_stop_waits_for_a_limited_time(tmp_path: Path):
    endpoint = EndpointProcess(tmp_path / "clickhouse", options=("--stop-seconds", "0.2"))
    endpoint.start()
    query = Query(f"{endpoint.url}/?wait_end_of_query=1", SLOW.format(rows=1000))
    wait_for_query(endpoint.url, "sleepEachRow")
    psutil.Process(endpoint.pid).send_signal(signal.SIGINT)
    wait_until(lambda: endpoint.pid is None, "it stops", seconds=5)
    query.join()
    assert "killing the queries that still run" in endpoint.log


def test_an_idle_client_does_not_delay_a_stop(endpoint: EndpointProcess):
    with httpx.Client(base_url=endpoint.url) as client:
        assert client.get("/ping").text == "Ok.\n"
        psutil.Process(endpoint.pid).terminate()
        wait_until(lambda: endpoint.pid is None, "it stops", seconds=5)
    assert "killing" not in endpoint.log


def test_a_slow_query_ends_with_its_client(endpoint: EndpointProcess):
    cancel = {"cancel_http_readonly_queries_on_client_close": "1", "wait_end_of_query": "1"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(endpoint.url, params=cancel, content=SLOW.format(rows=1000), timeout=0.5)
    sql = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%' AND query NOT LIKE '%processes%'"
    wait_until(lambda: httpx.post(endpoint.url, content=sql).text == "0\n", "the query is gone")


def test_a_client_may_disconnect_in_the_middle_of_an_answer(endpoint: EndpointProcess):
    target = f"/?query_id=left&password={endpoint.password}"
    request = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 39\r\n\r\n".encode()
    with socket.create_connection((LOOPBACK, endpoint.port)) as connection:
        connection.sendall(request + b"SELECT number FROM numbers(10000000000)")
        assert connection.recv(100_000).startswith(b"HTTP/1.1 200 OK")
    wait_until(lambda: "query left was given up by its client" in endpoint.log, "the endpoint notices")
    running = "SELECT count() FROM system.processes WHERE query LIKE '%10000000000%' AND query NOT LIKE '%processes%'"
    wait_until(lambda: httpx.post(endpoint.url, content=running).text == "0\n", "the query is gone")
    assert endpoint.log.count("\n") == 2


def test_a_failure_is_logged_on_one_line(endpoint: EndpointProcess):
    httpx.post(endpoint.url, params={"query_id": "my-query"}, content="SELECT\nmissing")
    (line,) = [line for line in endpoint.log.splitlines() if "my-query" in line]
    assert "Code: 47. DB::Exception" in line


def test_the_server_is_on_utc_and_merges_in_the_background(endpoint: EndpointProcess):
    with connect(endpoint.url) as client:
        assert client.query("SELECT timezone(), toDateTime(0)::String").result_rows == [("UTC", "1970-01-01 00:00:00")]
        client.command("CREATE DATABASE d")
        client.command("CREATE TABLE d.t (a Int64) ENGINE = MergeTree ORDER BY a")
        for number in range(20):
            client.command(f"INSERT INTO d.t VALUES ({number})")
        parts = "SELECT count() FROM system.parts WHERE table = 't' AND active"
        wait_until(lambda: client.command(parts) < 15, "parts are merged", seconds=60)


def test_memory_is_bounded(tmp_path: Path):
    endpoint = EndpointProcess(tmp_path / "clickhouse", options=("--memory-ratio", "0.25"))
    endpoint.start()
    sql = "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'"
    limit = int(httpx.post(endpoint.url, content=sql).text)
    endpoint.stop()
    assert 0 < limit < psutil.virtual_memory().total * 0.26


def test_the_endpoint_does_not_start_without_a_password(tmp_path: Path):
    (tmp_path / "password").write_text("\n")
    for name, fault in (("password", "the password is empty"), ("missing", "No such file")):
        password = ("--password-file", str(tmp_path / name))
        done = run("--data-dir", str(tmp_path / "d"), "--port", str(find_free_port()), *password)
        assert done.returncode == 2
        assert fault in done.stderr
    assert not (tmp_path / "d").exists()


def test_a_port_in_use_is_named_in_the_error(tmp_path: Path):
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--data-dir", str(tmp_path / "d"), "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is already in use" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.org"])  # noqa: S104 - it must be refused
def test_the_endpoint_listens_on_loopback_only(tmp_path: Path, host: str):
    done = run("--data-dir", str(tmp_path / "d"), "--port", str(find_free_port()), "--host", host)
    assert done.returncode == 2
    assert f"--host {host} is not a loopback address" in done.stderr
    assert "no TLS" in done.stderr


def test_a_directory_in_use_is_refused(endpoint: EndpointProcess):
    done = run("--data-dir", str(endpoint.data_dir), "--port", str(find_free_port()))
    assert done.returncode == 2
    assert f"cannot open {endpoint.data_dir}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_endpoint_dies_with_its_parent(tmp_path: Path):
    port = find_free_port()
    argv = [
        *MODULE,
        "--password-file",
        str(PASSWORD_FILE),
        "--data-dir",
        str(tmp_path / "d"),
        "--port",
        str(port),
        "--die-with-parent",
    ]
    script = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", script, *argv], env=os.environ, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            return httpx.get(f"http://{LOOPBACK}:{port}/ping").text == "Ok.\n"
        except httpx.TransportError:
            return False

    wait_until(answers, "the endpoint answers", seconds=30)
    parent.kill()
    parent.wait()
    wait_until(lambda: not answers(), "the endpoint is gone")
