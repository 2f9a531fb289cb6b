"""``rapport sql`` reads, in any format, and cannot write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import environment, run

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from clickhouse_connect.driver.client import Client


@pytest.fixture
def env(clickhouse_url: str, database: str) -> dict[str, str]:
    return environment(CLICKHOUSE_URL=clickhouse_url, CLICKHOUSE_DATABASE=database)


def sql(env: dict[str, str], cwd: Path, *arguments: str) -> CompletedProcess[str]:
    return run("sql", *arguments, env=env, cwd=cwd)


def test_the_default_format_is_a_readable_table(env: dict[str, str], tmp_path: Path):
    done = sql(env, tmp_path, "SELECT number AS n, 'a%b{c}' AS text FROM numbers(2)")
    assert done.returncode == 0
    assert "n" in done.stdout.splitlines()[0]
    assert "│ a%b{c} │" in done.stdout


def test_any_format_can_be_chosen_and_one_in_the_query_wins(env: dict[str, str], tmp_path: Path):
    done = sql(env, tmp_path, "SELECT 1 AS a, 'x' AS b;", "--format", "JSONEachRow")
    assert json.loads(done.stdout) == {"a": 1, "b": "x"}
    assert sql(env, tmp_path, "SELECT 1 AS a FORMAT CSVWithNames", "--format", "JSON").stdout == '"a"\n1\n'


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO kept VALUES (2)",
        "DROP TABLE kept",
        "ALTER TABLE kept DELETE WHERE 1",
        "TRUNCATE TABLE kept SETTINGS readonly = 0",
        "SET readonly = 0",
        "SELECT 1; DROP TABLE kept",
    ],
)
def test_nothing_can_be_changed(env: dict[str, str], tmp_path: Path, clickhouse: Client, statement: str):
    clickhouse.command("CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n")
    clickhouse.command("INSERT INTO kept VALUES (1)")
    sql(env, tmp_path, statement)
    assert clickhouse.query("SELECT * FROM kept").result_rows == [(1,)]


def test_a_statement_may_take_longer_than_a_request(env: dict[str, str], tmp_path: Path):
    slow = "SELECT max(number) AS m FROM numbers(4) WHERE NOT sleepEachRow(0.5) SETTINGS max_block_size = 1"
    done = sql({**env, "CLICKHOUSE_TIMEOUT_S": "1"}, tmp_path, slow, "--format", "JSONEachRow")
    assert (done.returncode, done.stdout) == (0, '{"m":3}\n'), done.stderr


def test_an_error_is_one_message(env: dict[str, str], tmp_path: Path):
    done = sql(env, tmp_path, "SELECT * FROM nowhere")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
