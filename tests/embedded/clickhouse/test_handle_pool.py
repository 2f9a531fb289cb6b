"""Pooled handles: a request that reuses a handle is not affected by earlier ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
import pytest
from clickhouse_connect.driver.external import ExternalData

from rapport.embedded.clickhouse.handle_pool import MAX_IDLE
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

SQL: Final = "SELECT currentDatabase(), getSetting('max_block_size'), getSetting('log_comment')"


def test_settings_and_databases_of_requests_do_not_mix(http: httpx.Client, database: str):
    plain = http.post("/", content=SQL).text
    assert plain.startswith(f"{database}\t")
    for size in [*range(1000, 1000 + 2 * MAX_IDLE), *range(1000, 1000 + 2 * MAX_IDLE)]:
        changed = http.post("/", params={"max_block_size": str(size), "log_comment": "mine"}, content=SQL).text
        assert changed == f"{database}\t{size}\tmine\n"
        assert http.post("/", content=SQL).text == plain
        assert http.post("/", params={"database": "system"}, content=SQL).text.startswith("system\t")


@pytest.mark.parametrize(
    "statement", ["SET max_block_size = 123", "USE system", "CREATE TEMPORARY TABLE mine (a Int8)", "SELECT broken"]
)
def test_effects_of_a_statement_on_its_handle_end_with_the_request(http: httpx.Client, statement: str):
    plain = http.post("/", content=SQL).text
    for _ in range(3):
        http.post("/", content=statement)
        assert http.post("/", content=SQL).text == plain
        assert http.post("/", content="SELECT * FROM mine").status_code == 404


def test_parameters_end_with_their_request(http: httpx.Client, clickhouse: Client):
    clickhouse.command("CREATE TABLE numbers_ (a Int8) ENGINE = Memory")
    given = {"param_a": "1"}
    for _ in range(3):
        assert http.post("/", params=given, content="SELECT {a:Int8}").text == "1\n"
        assert http.post("/", params=given, content="INSERT INTO numbers_ VALUES ({a:Int8})").status_code == 200
        assert http.post("/", content="SELECT {a:Int8}").headers["X-ClickHouse-Exception-Code"] == "456"


def test_external_data_is_gone_after_its_request(http: httpx.Client, clickhouse: Client):
    for number in (b"1", b"2"):
        data = ExternalData(file_name="mine", data=number, fmt="TSV", structure=["a Int8"])
        assert clickhouse.raw_query("SELECT a FROM mine FORMAT TSV", external_data=data) == number + b"\n"
        assert http.post("/", content="SELECT a FROM mine").status_code == 404


def test_queries_that_end_with_their_client_reuse_marked_handles(http: httpx.Client):
    asked = {"cancel_http_readonly_queries_on_client_close": "1"}
    mark = http.post("/", params=asked, content="SELECT getSetting('log_comment')").text
    assert mark != "\n"
    for _ in range(3):
        assert http.post("/", content="SELECT getSetting('log_comment')").text == "\n"
        assert http.post("/", params=asked, content="SELECT getSetting('log_comment')").text == mark


def test_each_query_of_a_session_has_its_own_mark(http: httpx.Client):
    asked = {"cancel_http_readonly_queries_on_client_close": "1", "session_id": "marked"}
    marks = {http.post("/", params=asked, content="SELECT getSetting('log_comment')").text for _ in range(3)}
    assert len(marks) == 3
    assert http.post("/", params={"session_id": "marked"}, content="SELECT getSetting('log_comment')").text == "\n"


def test_a_handle_whose_query_was_stopped_is_not_reused(http: httpx.Client):
    asked = {"cancel_http_readonly_queries_on_client_close": "1"}
    running = "SELECT count() FROM system.processes WHERE Settings['log_comment'] = {mark:String}"
    mark = http.post("/", params=asked, content="SELECT getSetting('log_comment')").text.strip()
    slow = {**asked, "wait_end_of_query": "1"}
    with pytest.raises(httpx.ReadTimeout):
        http.post(
            "/",
            params=slow,
            content="SELECT sleepEachRow(1) FROM numbers(100) SETTINGS max_block_size = 1",
            timeout=0.5,
        )
    wait_until(lambda: http.post("/", params={"param_mark": mark}, content=running).text == "0\n", "the query is gone")
    for _ in range(MAX_IDLE):
        assert http.post("/", params=asked, content="SELECT getSetting('log_comment')").text.strip() != mark


def test_a_broken_stream_does_not_affect_other_requests(http: httpx.Client):
    plain = http.post("/", content=SQL).text
    for _ in range(3):
        with http.stream("POST", "/", content="SELECT number FROM numbers(50000000)") as answer:
            assert len(next(answer.iter_bytes())) > 0
        assert http.post("/", content=SQL).text == plain
