from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import io
import socket
import threading
import zlib
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import clickhouse_connect
import lz4.frame
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from tests.fixtures.clickhouse import connect, parse_client_arguments
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from clickhouse_connect.driver.client import Client

ROWS = 100_000
ARROW = pa.table({"a": pa.array([1, 2], pa.int64()), "s": pa.array(["x", "y\t'ü"], pa.string())})


def in_arrow_stream(table: pa.Table) -> bytes:
    with io.BytesIO() as sink:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue()


def in_arrow_file(table: pa.Table) -> bytes:
    with io.BytesIO() as sink:
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue()


def in_parquet(table: pa.Table) -> bytes:
    with io.BytesIO() as sink:
        pq.write_table(table, sink)
        return sink.getvalue()


TWO_ROWS = {
    "TSV": b"1\tx\n2\ty\\t\\'\xc3\xbc\n",
    "TabSeparatedWithNames": b"s\ta\nx\t1\ny\\t\\'\xc3\xbc\t2\n",
    "CSV": b'1,x\n2,"y\t\'\xc3\xbc"',
    "JSONEachRow": '{"a":1,"s":"x"}\n{"s":"y\\t\'ü","a":2}'.encode(),
    "Values": "(1,'x'),(1+1, 'y\\t\\'ü')".encode(),
    "RowBinary": b"\x01" + bytes(7) + b"\x01x" + b"\x02" + bytes(7) + b"\x05y\t'\xc3\xbc",
    "Native": b"\x02\x02\x01a\x05Int64\x01" + bytes(7) + b"\x02" + bytes(7) + b"\x01s\x06String\x01x\x05y\t'\xc3\xbc",
    "Arrow": in_arrow_file(ARROW),
    "ArrowStream": in_arrow_stream(ARROW),
    "Parquet": in_parquet(ARROW),
}
COMPRESSORS = {
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@pytest.fixture
def t(clickhouse: Client) -> str:
    clickhouse.command("CREATE TABLE t (a Int64, s String) ENGINE = MergeTree ORDER BY a")
    return "t"


def read_rows(client: Client) -> object:
    return client.query("SELECT * FROM t ORDER BY a").result_rows


@pytest.mark.parametrize("shape", ["url and body", "body alone", "chunks"])
@pytest.mark.parametrize("input_format", sorted(TWO_ROWS))
@pytest.mark.usefixtures("t")
def test_every_format_arrives_whole(http: httpx.Client, clickhouse: Client, input_format: str, shape: str):
    sql = f"INSERT INTO t FORMAT {input_format}"
    data = TWO_ROWS[input_format]

    def single_bytes() -> Iterator[bytes]:
        yield from (data[at : at + 1] for at in range(len(data)))

    if shape == "url and body":
        answer = http.post("/", params={"query": sql}, content=data)
    elif shape == "chunks":
        answer = http.post("/", params={"query": sql}, content=single_bytes())
    else:
        answer = http.post("/", content=f"{sql}\n".encode() + data)
    assert (answer.status_code, answer.text) == (200, "")
    assert read_rows(clickhouse) == [(1, "x"), (2, "y\t'ü")]


@pytest.mark.parametrize("input_format", ["TSV", "CSV"])
@pytest.mark.usefixtures("t")
def test_a_first_line_that_names_the_columns_is_a_header_unless_told_otherwise(
    http: httpx.Client, clickhouse: Client, input_format: str
):
    """ClickHouse's own rule; it drops a first row that happens to look like the header."""
    data = {"TSV": b"s\nx\n", "CSV": b"s\nx\n"}[input_format]
    sql = f"INSERT INTO t (s) FORMAT {input_format}"
    http.post("/", params={"query": sql}, content=data)
    assert clickhouse.query("SELECT s FROM t").result_rows == [("x",)]
    keep = {"query": sql, f"input_format_{input_format.lower()}_detect_header": "0"}
    http.post("/", params=keep, content=data)
    assert sorted(clickhouse.query("SELECT s FROM t").result_rows) == [("s",), ("x",), ("x",)]


@pytest.mark.usefixtures("t")
def test_values_may_follow_in_the_text_or_in_the_body(http: httpx.Client, clickhouse: Client):
    http.post("/", content="INSERT INTO t (s, a) /* VALUES ( */ VALUES ('x', 1)")
    http.post("/", params={"query": "INSERT INTO t VALUES"}, content=b"(2, 'y'), (3, 'z')")
    http.post(
        "/", params={"query": "INSERT INTO t VALUES ({a:Int64}, {s:String})", "param_a": "4", "param_s": "it's\\t"}
    )
    assert read_rows(clickhouse) == [(1, "x"), (2, "y"), (3, "z"), (4, "it's\t")]


@pytest.mark.usefixtures("t")
def test_an_insert_from_a_select_is_run(http: httpx.Client, clickhouse: Client):
    answer = http.post("/", content="INSERT INTO t SELECT number, 'FORMAT' FROM numbers(3)")
    assert answer.status_code == 200
    assert '"written_rows":"3"' in answer.headers["X-ClickHouse-Summary"]
    assert read_rows(clickhouse) == [(0, "FORMAT"), (1, "FORMAT"), (2, "FORMAT")]


@pytest.mark.parametrize("end", [b";", b";\n", b"\n\n", b"; SELECT 1\n", b"\x00", b"-- '", b"/*"])
@pytest.mark.usefixtures("t")
def test_data_may_look_like_the_end_of_a_statement(http: httpx.Client, clickhouse: Client, end: bytes):
    texts = [b"a" + end + b"b" + end, end, b"last"]
    rows = b"".join(number.to_bytes(8, "little") + bytes([len(text)]) + text for number, text in enumerate(texts))
    for sql in ("INSERT INTO t FORMAT RowBinary", "WITH 1 AS one INSERT INTO t FORMAT RowBinary"):
        assert http.post("/", params={"query": sql}, content=rows).status_code == 200
    stored = [bytes.fromhex(text) for (text,) in clickhouse.query("SELECT hex(s) FROM t ORDER BY a").result_rows]
    assert stored == [text for text in texts for _ in range(2)]


def hundred_thousand() -> list[list[object]]:
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return [[number, f"row {number}", at, [f"tag{number % 7}"], None] for number in range(ROWS)]


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_clickhouse_connect_inserts_a_hundred_thousand_rows(
    clickhouse_url: str, database: str, *, compress: str | bool
):
    columns = "a UInt64, s LowCardinality(String), at DateTime64(3, 'UTC'), tags Array(String), n Nullable(Int8)"
    with connect(clickhouse_url, database=database, compress=compress) as client:
        client.command(f"CREATE TABLE w ({columns}) ENGINE = MergeTree ORDER BY a")
        summary = client.insert("w", hundred_thousand(), column_names=["a", "s", "at", "tags", "n"])
        assert summary.written_rows == ROWS
        sql = "SELECT count(), sum(a), uniqExact(s), min(at) = max(at), uniqExact(tags), count(n) FROM w"
        assert client.query(sql).result_rows == [(ROWS, ROWS * (ROWS - 1) // 2, ROWS, 1, 7, 0)]


@pytest.mark.usefixtures("t")
def test_a_hundred_thousand_rows_are_inserted_as_arrow(clickhouse: Client):
    table = pa.table({"a": pa.array(range(ROWS), pa.int64()), "s": pa.array(["x"] * ROWS, pa.string())})
    assert clickhouse.insert_arrow("t", table).written_rows == ROWS
    stream = in_arrow_stream(table)
    clickhouse.raw_insert(
        "t", column_names=["a", "s"], insert_block=stream, fmt="ArrowStream", settings={"async_insert": 0}
    )
    compressed = zstd.compress(stream)
    clickhouse.raw_insert("t", column_names=["a", "s"], insert_block=compressed, fmt="ArrowStream", compression="zstd")
    assert clickhouse.query("SELECT count(), uniqExact(a) FROM t").result_rows == [(3 * ROWS, ROWS)]


def test_the_async_client_inserts(clickhouse_url: str, database: str, clickhouse: Client, t: str):
    async def insert() -> None:
        options = parse_client_arguments(clickhouse_url) | {"database": database, "compress": "lz4"}
        async with await clickhouse_connect.get_async_client(**options) as client:
            await asyncio.gather(*(client.insert(t, [[number, "x"]], column_names=["a", "s"]) for number in range(20)))
            await client.insert(t, [[number, "y"] for number in range(ROWS)], column_names=["a", "s"])

    asyncio.run(insert())
    assert clickhouse.query("SELECT count() FROM t").result_rows == [(ROWS + 20,)]


@pytest.mark.parametrize("encoding", sorted(COMPRESSORS))
@pytest.mark.usefixtures("t")
def test_a_compressed_body_may_have_many_frames(http: httpx.Client, clickhouse: Client, encoding: str):
    compress = COMPRESSORS[encoding]
    text = b"".join(b"%d\tx%d\n" % (number, number) for number in range(ROWS))
    frames = (
        [compress(text)] if encoding == "deflate" else [compress(text[:1000]), compress(text[1000:]), compress(b"")]
    )
    headers = {"Content-Encoding": encoding}
    sql = {"query": "INSERT INTO t FORMAT TSV"}
    assert http.post("/", params=sql, headers=headers, content=b"".join(frames)).status_code == 200
    assert clickhouse.query("SELECT count(), sum(a) FROM t").result_rows == [(ROWS, ROWS * (ROWS - 1) // 2)]


@pytest.mark.parametrize("encoding", sorted(COMPRESSORS))
@pytest.mark.usefixtures("t")
def test_a_damaged_body_writes_nothing(http: httpx.Client, clickhouse: Client, encoding: str):
    whole = COMPRESSORS[encoding](b"".join(b"%d\tx\n" % number for number in range(ROWS)))
    for damaged in (whole[:-20], b"\x00" * 100):
        answer = http.post(
            "/", params={"query": "INSERT INTO t FORMAT TSV"}, headers={"Content-Encoding": encoding}, content=damaged
        )
        assert answer.status_code >= 400
        assert answer.headers["X-ClickHouse-Exception-Code"]
    assert read_rows(clickhouse) == []


@pytest.mark.usefixtures("t")
def test_a_bad_row_far_down_writes_nothing(http: httpx.Client, clickhouse: Client):
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"1\tx\n" * 5000
        yield b"no number\tx\n"

    answer = http.post("/", params={"query": "INSERT INTO t FORMAT TSV"}, content=chunks())
    assert answer.status_code == 400
    assert read_rows(clickhouse) == []


@pytest.mark.parametrize("is_chunked", [True, False])
@pytest.mark.usefixtures("t")
def test_a_client_that_disconnects_in_the_middle_inserts_nothing(
    clickhouse_url: str, clickhouse: Client, database: str, *, is_chunked: bool
):
    rows = b"1\tx\n" * 300_000  # more than one piece for the engine, less than one block
    address = urlsplit(clickhouse_url)
    target = f"/?password={address.password or ''}&database={database}&query={quote('INSERT INTO t FORMAT TSV')}"
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(rows) * 2}"
    chunk = b"%x\r\n%b\r\n" % (len(rows), rows) if is_chunked else rows
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode() + chunk)
    sql = "SELECT count() FROM system.processes WHERE query ILIKE 'INSERT%' AND current_database = {d:String}"
    wait_until(
        lambda: clickhouse.query(sql, parameters={"d": database}).result_rows == [(0,)], "the insert is given up"
    )
    assert read_rows(clickhouse) == []
    clickhouse.insert("t", [[1, "after"]], column_names=["a", "s"])
    assert read_rows(clickhouse) == [(1, "after")]


@pytest.mark.usefixtures("t")
def test_several_clients_insert_at_once(clickhouse_url: str, database: str, clickhouse: Client):
    def insert(start: int) -> None:
        with connect(clickhouse_url, database=database) as client:
            for number in range(start, start + 10):
                client.insert("t", [[number, "x"]], column_names=["a", "s"])

    threads = [threading.Thread(target=insert, args=(start,)) for start in range(0, 100, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clickhouse.query("SELECT count(), uniqExact(a) FROM t").result_rows == [(100, 100)]
