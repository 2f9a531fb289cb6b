from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

FAILS_HALF_WAY = "SELECT throwIf(number = 1500000) FROM numbers(3000000)"


@pytest.mark.parametrize(
    ("sql", "code", "status"),
    [
        ("SELECT * FROM missing", 60, 404),
        ("SELECT * FROM missing.t", 81, 404),
        ("INSERT INTO missing VALUES (1)", 60, 404),
        ("INSERT INTO missing FORMAT Native\n", 60, 404),
        ("DROP TABLE missing", 60, 404),
        ("SELECT missing", 47, 404),
        ("SELECT missing()", 46, 404),
        ("SELECT 1 SETTINGS missing = 1", 115, 404),
        ("SELECT 1 FORMAT Missing", 73, 404),
        ("CREATE TABLE t (a Missing) ENGINE = Memory", 50, 404),
        ("SELECT FROM WHERE", 62, 400),
        ("SELECT 1; SELECT 2", 62, 400),
        ("", 62, 400),
        ("SELECT toInt8('x')", 6, 400),
        ("SELECT {p:Int8}", 456, 500),
        ("SELECT throwIf(1)", 395, 500),
        ("SELECT intDiv(1, 0)", 153, 500),
        ("CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY missing", 47, 404),
    ],
)
def test_a_failure_has_a_code_a_status_and_a_text(http: httpx.Client, sql: str, code: int, status: int):
    answer = http.post("/", content=sql, params={"query_id": "q1"})
    assert answer.headers["X-ClickHouse-Exception-Code"] == str(code)
    assert answer.status_code == status
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert answer.text.count("\n") == 1
    assert answer.headers["X-ClickHouse-Query-Id"] == "q1"


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        ({"no_such_setting": "1"}, 115, 404),
        ({"max_threads": "many"}, 27, 400),
        ({"database": "missing"}, 81, 404),
        ({"default_format": "Missing"}, 73, 404),
        ({"session_id": "never", "session_check": "1"}, 372, 500),
        ({"session_id": "s", "session_timeout": "1e3"}, 374, 500),
        ({"session_id": "s", "session_timeout": "9" * 5_000}, 374, 500),
        ({"param_p": "x", "query": "SELECT {p:Int8}, "}, 457, 500),
    ],
)
def test_a_wrong_argument_is_an_error(http: httpx.Client, arguments: dict[str, str], code: int, status: int):
    answer = http.post("/", params=arguments, content="1" if "query" in arguments else "SELECT 1")
    assert (answer.headers["X-ClickHouse-Exception-Code"], answer.status_code) == (str(code), status)


def test_get_only_reads(http: httpx.Client):
    answer = http.get("/", params={"query": "CREATE TABLE t (a Int8) ENGINE = Memory"})
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    assert http.get("/", params={"query": "EXISTS t"}).text == "0\n"


def test_an_unknown_page_is_not_found(http: httpx.Client):
    assert http.get("/nothing/here").status_code == 404


def test_an_unknown_compression_is_refused(http: httpx.Client):
    answer = http.post("/", content=b"SELECT 1", headers={"Content-Encoding": "rot13"})
    assert answer.status_code >= 400


def test_the_client_gets_the_code_and_its_name(clickhouse: Client):
    with pytest.raises(DatabaseError) as caught:
        clickhouse.query("SELECT * FROM missing")
    assert (caught.value.code, caught.value.name) == (60, "UNKNOWN_TABLE")


def test_a_failure_half_way_reaches_the_client(clickhouse: Client):
    rows = 0

    def read_all() -> None:
        nonlocal rows
        with clickhouse.query_row_block_stream(FAILS_HALF_WAY) as blocks:
            for block in blocks:
                rows += len(block)

    with pytest.raises(StreamFailureError, match="throwIf"):
        read_all()
    assert rows > 0


def test_a_failure_half_way_ends_no_chunked_answer(http: httpx.Client):
    received = bytearray()

    def read_all() -> None:
        for piece in answer.iter_raw():
            received.extend(piece)

    with http.stream("POST", "/", content=FAILS_HALF_WAY, headers={"Accept-Encoding": "identity"}) as answer:
        with pytest.raises(httpx.RemoteProtocolError):
            read_all()
        tag = answer.headers["X-ClickHouse-Exception-Tag"].encode()
    assert b"\r\n__exception__\r\n" + tag + b"\r\nCode: 395. DB::Exception: " in received
    assert received.endswith(b" " + tag + b"\r\n__exception__\r\n")


def test_a_buffered_answer_fails_as_a_whole(http: httpx.Client):
    answer = http.post("/", params={"wait_end_of_query": "1"}, content=FAILS_HALF_WAY)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "395")


def test_a_failure_leaves_the_connection_usable(http: httpx.Client):
    for _ in range(3):
        assert http.post("/", content="SELECT missing").status_code == 404
        assert http.post("/", content="SELECT 1").text == "1\n"
