"""Confinement of the local ClickHouse: it needs the password, refuses browsers and reaches no foreign files."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest
from clickhouse_connect.driver.external import ExternalData

from rapport.embedded.clickhouse import confinement
from rapport.embedded.clickhouse.endpoint import _confine
from tests.fixtures.clickhouse import ROOT, EndpointProcess, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

SECRET = "private-9f3a"  # noqa: S105 - what must not be read


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """Provide a server on this machine that must get no request, and the list of its requests."""
    asked: list[str] = []

    class OkHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(SECRET.encode())

        do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815 - the names that the server looks for

    server = HTTPServer(("127.0.0.1", 0), OkHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


READS = [
    "SELECT * FROM file('{path}', 'LineAsString')",
    "SELECT * FROM `file`('{path}', LineAsString)",
    "SELECT * FROM \"fi\\x6ce\"('{path}', LineAsString)",
    "SELECT /* a */ * FROM /**/ file -- x\n('{path}', 'LineAsString')",
    "WITH x AS (SELECT * FROM file('{path}', 'LineAsString')) SELECT * FROM (SELECT * FROM x)",
    "SELECT file('{path}')",
    "SELECT * FROM format(Values, 's String', $$(file('{path}'))$$)",
    "SELECT * FROM '{path}'",
    "SELECT * FROM default.`{path}`",
    "SELECT * FROM loop(file('{path}', 'LineAsString')) LIMIT 1",
    "SELECT * FROM filesystem('{path}')",
    "SELECT * FROM fileCluster('default', '{path}', 'LineAsString')",
    "SELECT * FROM sqlite('{path}', 't')",
    "SELECT * FROM executable('cat {path}', 'LineAsString', 's String')",
    "SELECT * FROM eval('SELECT file(''{path}'')') SETTINGS allow_experimental_eval_table_function = 1",
    "SELECT * FROM Python(os)",
    "SELECT * FROM Python(os) SETTINGS allow_python_table_function = 1",
    "SELECT * FROM url('http://{host}/a', 'LineAsString', 's String')",
    "SELECT * FROM s3('http://{host}/bucket/a', 'LineAsString', 's String')",
    "SELECT * FROM remote('{host}', 'system', 'one')",
    "SELECT * FROM mysql('{host}', 'a', 'b', 'c', 'd')",
    "SELECT * FROM postgresql('{host}', 'a', 'b', 'c', 'd')",
    "SELECT * FROM redis('{host}', 'k', 'k String')",
    "SELECT * FROM mongodb('{host}', 'a', 'b', 'c', 'd', 'k String')",
    "SELECT 1 FORMAT Protobuf SETTINGS format_schema = '{path}:x'",
    "CREATE TABLE f ENGINE = Memory AS SELECT * FROM file('{path}', 'LineAsString')",
    "CREATE TABLE f AS file('{path}', 'LineAsString')",
    "CREATE TABLE f (s String) ENGINE = File(LineAsString, '{path}')",
    "CREATE TABLE f (s String) ENGINE = URL('http://{host}/', LineAsString)",
    "CREATE TABLE f (s String) ENGINE = MySQL('{host}', 'a', 'b', 'c', 'd')",
    "CREATE TABLE f (s String) ENGINE = Kafka('{host}', 'a', 'b', 'LineAsString')",
    "CREATE DATABASE f ENGINE = Filesystem('/')",
    "CREATE DATABASE f ENGINE = SQLite('{path}')",
    "CREATE DICTIONARY f (a UInt64) PRIMARY KEY a SOURCE(file(path '{path}' format TSV)) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY f (a UInt64) PRIMARY KEY a SOURCE(executable(command 'id' format TSV)) LAYOUT(FLAT())",
    "CREATE FUNCTION f AS (x) -> file(x)",
    "CREATE NAMED COLLECTION f AS url = 'http://{host}/'",
    "CREATE USER f",
    "INSERT INTO own FROM INFILE '{path}' FORMAT LineAsString",
    "WITH $'$'$'$ AS x INSERT INTO own FROM INFILE '{path}' FORMAT LineAsString",
    "INSERT INTO own VALUES (file('{path}'))",
    "SYSTEM SHUTDOWN",
    "SYSTEM RELOAD CONFIG",
    "RESTORE TABLE own FROM File('{path}')",
]
WRITES = [
    "SELECT 1 INTO OUTFILE '{path}.out'",
    "SELECT (SELECT 1) INTO /**/ OUTFILE '{path}.out' TRUNCATE FORMAT TSV",
    "WITH $'$'$'$ AS x SELECT x INTO OUTFILE '{path}.out'",
    "INSERT INTO FUNCTION file('{path}.out', 'TSV', 's String') VALUES ('a')",
    "INSERT INTO FUNCTION file('{path}.out', 'TSV', 's String') SELECT 'a'",
    "SELECT 1 AS a FORMAT Protobuf SETTINGS output_format_schema = '{path}.out', format_schema_source = 'string'",
    "BACKUP TABLE own TO File('{path}.out')",
    "BACKUP TABLE own TO Disk('default', 'out')",
    "CREATE TABLE f (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '{path}.out/')",
]


@pytest.mark.parametrize("statement", [*READS, *WRITES])
def test_no_statement_reaches_foreign_files_or_servers(
    http: httpx.Client, clickhouse: Client, secret_file: Path, listener: tuple[str, list[str]], statement: str
):
    host, asked = listener
    clickhouse.command("CREATE TABLE own (s String) ENGINE = MergeTree ORDER BY s")
    answer = http.post("/", content=statement.replace("{path}", str(secret_file)).replace("{host}", host))
    assert answer.status_code >= 400, answer.text
    assert answer.headers["X-ClickHouse-Exception-Code"]
    assert SECRET not in answer.text
    assert [path.name for path in secret_file.parent.iterdir()] == [secret_file.name]
    assert asked == []
    assert clickhouse.query("SELECT * FROM own").result_rows == []


def test_the_confined_program_cannot_read_the_checkout_around_it(http: httpx.Client):
    settings = ROOT / "pyproject.toml"
    assert settings.exists()
    answer = http.post("/", content=f"SELECT file('{settings}')")
    assert answer.status_code >= 400
    assert "rapport" not in answer.text.replace(str(settings), "")


def test_a_confined_process_reads_its_directory_and_starts_no_program(tmp_path: Path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "program").write_text("#!/bin/sh\n")
    (own / "program").chmod(0o700)
    script = """
import os, pathlib, sys
from rapport.embedded.clickhouse.confinement import confine
own = pathlib.Path(sys.argv[1])
assert confine(own)
for path in (own / "program", pathlib.Path("/bin/true")):
    assert path.read_bytes()
    try:
        os.execv(path, [path])
    except PermissionError:
        continue
"""
    done = subprocess.run(
        [sys.executable, "-c", f"{script}print('neither')", str(own)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("neither\n", "")


def test_a_system_without_landlock_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("TMPDIR", "")  # is set, and restored after the test
    monkeypatch.setattr(confinement, "_CREATE_RULESET", 10_000)  # no such system call
    _confine(tmp_path)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cannot confine the engine: SQL can read the files that this user can" in caplog.text


def test_no_input_beside_a_statement_reaches_foreign_files(http: httpx.Client, clickhouse: Client, secret_file: Path):
    reading = f"file('{secret_file}')"
    table = ExternalData(file_name="given", data=b"1", fmt="TSV", structure=[f"a Int8, s String DEFAULT {reading}"])
    clickhouse.command("CREATE TABLE own (s String) ENGINE = Memory")
    answers = [
        http.post(
            "/", params={"param_p": f"({reading})"}, content="SELECT * FROM format(Values, 's String', {p:String})"
        ),
        http.post("/", params={"query": "INSERT INTO own FORMAT Values"}, content=f"({reading})"),
        http.post("/", params={"output_format_schema": str(secret_file)}, content="SELECT 1"),
        http.post("/", params={"allow_python_table_function": "1"}, content="SELECT 1"),
        http.post(
            "/",
            params={"query": "SELECT * FROM given", **table.query_params},
            files={name: (file[0], file[1]) for name, file in table.form_data.items()},
        ),
    ]
    assert [answer.status_code for answer in answers if answer.status_code < 400 or SECRET in answer.text] == []


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "rebound.example"}, 497),
        ({"Host": "127.0.0.1.example:8123"}, 497),
        ({"Host": ""}, 497),
        ({"Origin": "https://page.example"}, 497),
        ({"Origin": "null"}, 497),
        ({"Origin": "http://127.0.0.1:3000"}, 497),
        ({"Sec-Fetch-Site": "cross-site"}, 497),
        ({"Sec-Fetch-Site": "same-site"}, 497),
    ],
)
@pytest.mark.parametrize("path", ["/", "/ping", "/nowhere"])
def test_pages_in_a_browser_are_refused_even_with_the_password(
    http: httpx.Client, headers: dict[str, str], code: int, path: str
):
    for method in ("GET", "POST", "OPTIONS"):
        answer = http.request(method, path, headers=headers, params={"query": "SELECT 1"})
        assert answer.status_code >= 400
        assert answer.headers["X-ClickHouse-Exception-Code"] == str(code)
        assert not [name for name in answer.headers if name.startswith("access-control") or name == "www-authenticate"]


def test_requests_without_the_password_are_refused(tmp_path: Path):
    endpoint = EndpointProcess(tmp_path / "clickhouse")
    endpoint.start()
    try:
        address, right = f"http://localhost:{endpoint.port}/?query=SELECT+1", endpoint.password
        with connect(endpoint.url) as client:
            assert client.command("SELECT 1") == 1
        for headers in ({"X-ClickHouse-User": "default", "X-ClickHouse-Key": right}, {"X-ClickHouse-Key": right}):
            assert httpx.get(address, headers=headers).text == "1\n"
        assert httpx.get(f"{address}&user=default&password={right}").text == "1\n"
        assert httpx.get(address, auth=("default", right)).text == "1\n"
        assert httpx.get(address).status_code == 401
        for wrong in ("", "x", right.upper() + "x", "é"):
            assert httpx.get(address, auth=("default", wrong)).status_code == 403
            assert httpx.get(f"{address}&password={wrong}").status_code in (401, 403)
        assert httpx.get(address, auth=("root", right)).status_code == 403
        assert httpx.get(address, headers={"Authorization": "Basic ?"}).status_code == 403
        assert httpx.get(f"http://localhost:{endpoint.port}/ping").text == "Ok.\n"
        assert right not in endpoint.log
    finally:
        endpoint.stop()
