from __future__ import annotations

import asyncio
import gzip
import json
import random
import subprocess
from typing import TYPE_CHECKING

import clickhouse_connect
import lz4.frame
import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.clickhouse import connect, parse_client_arguments

if TYPE_CHECKING:
    import httpx
    from clickhouse_connect.driver.client import Client

HARD_TEXTS = [
    "",
    "'",
    '"',
    "`",
    "\\",
    "\\'",
    "\t",
    "\n",
    "\r\n",
    "\\t",
    "\\N",
    "%",
    "&a=b",
    "+",
    "ü 日本 🎈",
    "\x01",
    "{p:String}",
]


def curl(*arguments: str, data: bytes = b"") -> str:
    command = ["curl", "--silent", "--show-error", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize("by_form", [False, True])
def test_a_text_parameter_arrives_as_it_was_sent(clickhouse_url: str, *, by_form: bool):
    with connect(clickhouse_url, form_encode_query_params=by_form) as client:
        for text in HARD_TEXTS:
            (row,) = client.query("SELECT {p:String}, length({p:String})", parameters={"p": text}).result_rows
            assert row == (text, len(text.encode()))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_an_array_parameter_arrives_as_it_was_sent(clickhouse: Client, texts: list[str]):
    assert clickhouse.query("SELECT {p:Array(String)}", parameters={"p": texts}).result_rows == [(texts,)]


def test_ten_thousand_texts_fit_into_one_parameter(clickhouse: Client):
    texts = [f"customer '{number}'\t{number}" for number in range(10_000)]
    sql = "SELECT length(a), a[10000], cityHash64(a) FROM (SELECT {p:Array(String)} AS a)"
    assert clickhouse.query(sql, parameters={"p": texts}).result_rows[0][:2] == (10_000, texts[-1])


def test_parameters_have_types_and_can_name_things(clickhouse: Client):
    clickhouse.command("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
    clickhouse.command("INSERT INTO {table:Identifier} VALUES ({a:Int64}), (2)", parameters={"table": "t", "a": 1})
    parameters = {"table": "t", "least": 1, "none": None}
    sql = "SELECT sum(a), {none:Nullable(String)} FROM {table:Identifier} WHERE a >= {least:Int64}"
    assert clickhouse.query(sql, parameters=parameters).result_rows == [(3, None)]


def test_settings_apply_to_one_request_only(clickhouse: Client):
    sql = "SELECT getSetting('max_block_size'), getSetting('session_timezone')"
    asked = {"max_block_size": 77, "session_timezone": "Asia/Tokyo"}
    before = clickhouse.query(sql).result_rows
    assert clickhouse.query(sql, settings=asked).result_rows == [(77, "Asia/Tokyo")]
    assert clickhouse.query(sql).result_rows == before


def test_the_query_comes_by_url_by_body_or_by_both(http: httpx.Client):
    by_url = http.get("/", params={"query": "SELECT 1 + {n:Int8} FORMAT CSV", "param_n": "2"})
    by_body = http.post(
        "/", content="SELECT 3 FORMAT CSV", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    by_both = http.post("/", params={"query": "SELECT 2 +"}, content="1 FORMAT CSV")
    assert [by_url.text, by_body.text, by_both.text] == ["3\n", "3\n", "3\n"]


def test_a_query_may_hold_bytes_that_are_not_utf8(clickhouse_url: str):
    assert curl("--data-binary", "@-", clickhouse_url, data=b"SELECT hex('\xff\xfe')") == "FFFE\n"
    assert curl(f"{clickhouse_url}/?query=SELECT%20hex('%FF+%2B')") == "FF202B\n"


@pytest.mark.parametrize(
    ("sql", "name", "content_type"),
    [
        ("SELECT 1 AS a", "TabSeparated", "text/tab-separated-values; charset=UTF-8"),
        ("SELECT 1 AS a FORMAT JSON", "JSON", "application/json; charset=UTF-8"),
        (
            "SELECT 1 AS a FORMAT JSONEachRow SETTINGS max_threads = 1;",
            "JSONEachRow",
            "application/x-ndjson; charset=UTF-8",
        ),
        ("SELECT 'FORMAT CSV' AS format -- FORMAT XML\nFORMAT CSV", "CSV", "text/csv; charset=UTF-8; header=absent"),
        ("SELECT 1 WHERE 0 FORMAT CSVWithNames", "CSVWithNames", "text/csv; charset=UTF-8; header=present"),
        ("SELECT 1 WHERE 0 FORMAT Native", "Native", "application/octet-stream"),
        ("(SELECT 1) FORMAT Vertical", "Vertical", "text/plain; charset=UTF-8"),
        ("SHOW DATABASES FORMAT XML", "XML", "application/xml; charset=UTF-8"),
    ],
)
def test_the_response_names_its_format(http: httpx.Client, sql: str, name: str, content_type: str):
    answer = http.post("/", content=sql, params={"query_id": f"id-{random.random()}"})
    assert answer.status_code == 200
    assert answer.headers["X-ClickHouse-Format"] == name
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["X-ClickHouse-Query-Id"] == answer.request.url.params["query_id"]
    assert answer.headers["X-ClickHouse-Timezone"]
    assert answer.headers["X-ClickHouse-Server-Display-Name"]


def test_a_statement_without_a_result_names_no_format(http: httpx.Client):
    answer = http.post("/", content="CREATE TABLE t (a Int64) ENGINE = Memory")
    assert (answer.status_code, answer.text, "X-ClickHouse-Format" in answer.headers) == (200, "", False)


def test_a_request_may_choose_another_default_format(http: httpx.Client):
    assert http.post("/", params={"default_format": "JSONCompactEachRow"}, content="SELECT 1, 'a'").text == '[1, "a"]\n'
    assert http.post("/", headers={"X-ClickHouse-Format": "CSV"}, content="SELECT 1, 'a'").text == '1,"a"\n'


def test_a_header_may_name_the_database(http: httpx.Client, database: str):
    answer = http.post(
        "/", params={"database": ""}, headers={"X-ClickHouse-Database": database}, content="SELECT currentDatabase()"
    )
    assert answer.text == f"{database}\n"


@pytest.mark.parametrize(
    "output_format", ["Native", "TSV", "CSV", "JSONEachRow", "JSONCompactEachRow", "RowBinary", "TSVRaw"]
)
def test_a_streamed_answer_is_the_whole_answer(http: httpx.Client, output_format: str):
    sql = f"SELECT number, toString(number) AS s FROM numbers(150000) ORDER BY number FORMAT {output_format}"
    read = {"max_threads": "1"}
    streamed, whole = (http.post("/", params=read | {"wait_end_of_query": wait}, content=sql).content for wait in "01")
    if output_format == "Native":  # its blocks may be cut elsewhere
        assert len(streamed) > 150_000 * 8
    else:
        assert streamed == whole


def test_totals_and_closing_brackets_of_a_result_are_kept(http: httpx.Client):
    totals = "SELECT number % 2 AS k, count() FROM numbers(4) GROUP BY k WITH TOTALS ORDER BY k"
    assert http.post("/", content=totals).text == "0\t2\n1\t2\n\n0\t4\n"
    array = "SELECT number FROM numbers(2) FORMAT JSONEachRow SETTINGS output_format_json_array_of_rows = 1"
    assert http.post("/", content=array).json() == [{"number": 0}, {"number": 1}]


def test_many_rows_arrive_in_blocks(clickhouse: Client):
    with clickhouse.query_row_block_stream("SELECT number FROM numbers(1000000)") as blocks:
        counts = [len(block) for block in blocks]
    assert sum(counts) == 1_000_000
    assert len(counts) > 1


def test_results_are_returned_as_arrow(clickhouse: Client):
    table = clickhouse.query_arrow("SELECT number AS n, toString(number) AS s FROM numbers(100000)")
    assert (table.num_rows, table.column_names) == (100_000, ["n", "s"])
    assert clickhouse.query_arrow("SELECT 1 AS n WHERE 0").column_names == ["n"]


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", "deflate", False])
def test_responses_are_compressed_as_the_client_accepts(clickhouse_url: str, *, compress: str | bool):
    with connect(clickhouse_url, compress=compress) as client:
        rows = client.query("SELECT number, repeat('x', 100) FROM numbers(20000)").result_rows
    assert (len(rows), rows[-1]) == (20_000, (19_999, "x" * 100))


def test_each_encoding_decodes_to_the_same_bytes(http: httpx.Client):
    def fetch(encoding: str, wait: str) -> tuple[str | None, bytes]:
        query = {
            "query": "SELECT number FROM numbers(100000)",
            "enable_http_compression": "1",
            "wait_end_of_query": wait,
        }
        with http.stream("GET", "/", params=query, headers={"Accept-Encoding": encoding}) as answer:
            return answer.headers.get("Content-Encoding"), b"".join(answer.iter_raw())

    expected = b"".join(b"%d\n" % number for number in range(100_000))
    decode = {"lz4": lz4.frame.decompress, "zstd": zstd.decompress, "gzip": gzip.decompress, None: bytes}
    for accepted, chosen in [("lz4", "lz4"), ("zstd, gzip", "zstd"), ("gzip;q=0.5", "gzip"), ("", None), ("no", None)]:
        for wait in "01":
            encoding, body = fetch(accepted, wait)
            assert encoding == chosen
            assert decode[encoding](body) == expected


def test_compression_can_be_declined(http: httpx.Client):
    query = {"query": "SELECT 1", "enable_http_compression": "0"}
    assert "Content-Encoding" not in http.get("/", params=query, headers={"Accept-Encoding": "gzip"}).headers


def test_the_summary_counts_rows_read(clickhouse: Client):
    clickhouse.command("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
    clickhouse.insert("t", [[number] for number in range(1000)], column_names=["a"])
    summary = clickhouse.query("SELECT count(), sum(a) FROM t WHERE NOT ignore(a)").summary
    assert summary["read_rows"] == "1000"
    assert int(summary["elapsed_ns"]) > 0


def test_many_async_clients_are_answered_concurrently(clickhouse_url: str):
    async def ask() -> list[int]:
        async with await clickhouse_connect.get_async_client(**parse_client_arguments(clickhouse_url)) as client:
            numbers = range(60)
            answers = [client.query("SELECT {n:Int64} * 2, sleep(0.005)", parameters={"n": n}) for n in numbers]
            return [answer.result_rows[0][0] for answer in await asyncio.gather(*answers)]

    assert asyncio.run(ask()) == [number * 2 for number in range(60)]


def test_an_async_client_may_send_forms(clickhouse_url: str):
    async def ask() -> object:
        options = parse_client_arguments(clickhouse_url) | {"form_encode_query_params": True}
        async with await clickhouse_connect.get_async_client(**options) as client:
            return (await client.query("SELECT {p:Array(String)}", parameters={"p": HARD_TEXTS})).result_rows[0][0]

    assert asyncio.run(ask()) == HARD_TEXTS


def test_curl_can_query_the_endpoint(clickhouse_url: str):
    assert curl(f"{clickhouse_url}/ping") == "Ok.\n"
    assert curl(f"{clickhouse_url}/replicas_status") == "Ok.\n"
    assert curl(clickhouse_url) == "Ok.\n"
    assert "200 OK" in curl("--head", f"{clickhouse_url}/ping")
    assert "X-ClickHouse-Format: TabSeparated" in curl("--head", f"{clickhouse_url}/?query=SELECT+1")
    assert curl(f"{clickhouse_url}/?query=SELECT+7") == "7\n"
    assert curl("--data-binary", "@-", clickhouse_url, data=b"SELECT 8") == "8\n"
    assert curl("--http1.0", "--data-binary", "@-", clickhouse_url, data=b"SELECT 9") == "9\n"
    assert curl("--form-string", "query=SELECT {n:Int8}", "--form-string", "param_n=10", clickhouse_url) == "10\n"
    everything = json.loads(
        curl("--data-binary", "@-", f"{clickhouse_url}/?default_format=JSON", data=b"SELECT 1 AS a")
    )
    assert everything["data"] == [{"a": 1}]


def test_a_long_url_is_read(clickhouse_url: str):
    assert curl(f"{clickhouse_url}/?query=SELECT+length('{'x' * 100_000}')") == "100000\n"


def test_a_long_query_is_read_when_the_client_allows_it(http: httpx.Client):
    numbers = ",".join(map(str, range(50_000)))
    sql = f"SELECT count() FROM numbers(10) WHERE number IN ({numbers}) FORMAT JSONEachRow"
    refused = http.post("/", content=sql)
    assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (400, "62")
    limits = {
        "max_query_size": "10000000",
        "max_ast_elements": "1000000",
        "output_format_json_quote_64bit_integers": "0",
    }
    assert http.post("/", params=limits, content=sql).json() == {"count()": 10}
