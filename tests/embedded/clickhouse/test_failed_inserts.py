"""Failed INSERTs: one that stores no row is never answered with 200, for any cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.fixtures.clickhouse import EndpointProcess, connect
from tests.fixtures.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx
    from clickhouse_connect.driver.client import Client

MANY = 300_000
MERGE_TREE = "ENGINE = MergeTree ORDER BY a"
CAUSES = {
    "constraint": (469, f"CREATE TABLE t (a UInt64, CONSTRAINT small CHECK a < 7) {MERGE_TREE}"),
    "too many parts": (
        252,
        f"CREATE TABLE t (a UInt64) {MERGE_TREE} SETTINGS parts_to_throw_insert = 1, parts_to_delay_insert = 1",
    ),
    "too many partitions": (252, f"CREATE TABLE t (a UInt64) {MERGE_TREE} PARTITION BY a % 1000"),
    "materialized": (395, f"CREATE TABLE t (a UInt64, b UInt8 MATERIALIZED throwIf(a = 7)) {MERGE_TREE}"),
    "default": (395, f"CREATE TABLE t (a UInt64, b UInt8 DEFAULT throwIf(a = 7)) {MERGE_TREE}"),
    "time to live": (395, f"CREATE TABLE t (a UInt64) {MERGE_TREE} TTL toDate(0) + toIntervalDay(throwIf(a = 7))"),
}


def insert_few(client: httpx.Client) -> httpx.Response:
    rows = b"".join(b"%d\n" % number for number in range(200))
    return client.post("/", params={"query": "INSERT INTO t (a) FORMAT TSV"}, content=rows)


def insert_many(client: httpx.Client) -> httpx.Response:
    def chunks() -> Iterator[bytes]:
        for start in range(0, MANY, 50_000):
            yield b"".join(b"%d\n" % number for number in range(start, start + 50_000))

    return client.post("/", params={"query": "INSERT INTO t (a) FORMAT TSV"}, content=chunks())


def insert_values(client: httpx.Client) -> httpx.Response:
    return client.post("/", content="INSERT INTO t (a) VALUES " + ",".join(f"({number})" for number in range(200)))


@pytest.mark.parametrize("insert", [insert_few, insert_many, insert_values])
@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_a_failed_insert_is_answered_with_its_error_and_stores_nothing(
    http: httpx.Client, clickhouse: Client, cause: str, insert: Callable[[httpx.Client], httpx.Response]
):
    code, table = CAUSES[cause]
    clickhouse.command(table)
    stored = 0
    if cause == "too many parts":
        clickhouse.command("SYSTEM STOP MERGES t")
        stored = 1
        assert http.post("/", params={"query": "INSERT INTO t FORMAT TSV"}, content=b"1\n").status_code == 200
    answer = insert(http)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (500, str(code))
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert answer.text.count("DB::Exception") == 1
    assert clickhouse.command("SELECT count() FROM t") == stored


def test_a_failing_view_fails_the_insert(http: httpx.Client, clickhouse: Client):
    clickhouse.command(f"CREATE TABLE t (a UInt64) {MERGE_TREE}")
    clickhouse.command(f"CREATE MATERIALIZED VIEW v {MERGE_TREE} AS SELECT a, throwIf(a = 7) AS b FROM t")
    assert insert_few(http).headers["X-ClickHouse-Exception-Code"] == "395"


def test_clients_get_the_error_of_a_failed_insert(clickhouse: Client):
    clickhouse.command(CAUSES["constraint"][1])
    with pytest.raises(DatabaseError) as caught:
        clickhouse.insert("t", [[number] for number in range(10)], column_names=["a"])
    assert caught.value.code == 469
    assert clickhouse.insert("t", [[1]], column_names=["a"]).written_rows == 1


def test_a_full_disk_fails_inserts_large_and_small_and_no_query(tmp_path: Path):
    with small_disk(tmp_path / "disk") as disk:
        endpoint = EndpointProcess(disk.path / "clickhouse")
        endpoint.start()
        try:
            with connect(endpoint.url) as client:
                client.command("CREATE DATABASE d")
                client.command(f"CREATE TABLE d.t (a UInt64) {MERGE_TREE}")
                client.insert("d.t", [[1]], column_names=["a"])
                disk.fill()
                for count in (1, MANY):
                    with pytest.raises(DatabaseError) as caught:
                        client.insert("d.t", [[number] for number in range(count)], column_names=["a"])
                    assert caught.value.code == 243
                assert client.query("SELECT a FROM d.t").result_rows == [(1,)]
                disk.free()
                client.insert("d.t", [[2]], column_names=["a"])
                assert client.query("SELECT a FROM d.t ORDER BY a").result_rows == [(1,), (2,)]
        finally:
            endpoint.kill()
