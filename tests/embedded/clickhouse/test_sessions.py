from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

import httpx
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

from tests.fixtures.clickhouse import connect
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@pytest.fixture
def session() -> dict[str, str]:
    return {"session_id": uuid.uuid4().hex}


def is_locked_for(answer: httpx.Response) -> bool:
    return answer.headers.get("X-ClickHouse-Exception-Code") == "373"


def test_a_session_keeps_settings_made_by_statements(http: httpx.Client, session: dict[str, str]):
    for statement in (
        "CREATE TEMPORARY TABLE mine (a Int8)",
        "INSERT INTO mine VALUES (1), (2)",
        "SET max_block_size = 123",
    ):
        assert http.post("/", params=session, content=statement).status_code == 200
    seen = http.post("/", params=session, content="SELECT sum(a), getSetting('max_block_size') FROM mine")
    assert seen.text == "3\t123\n"
    assert http.post("/", content="SELECT * FROM mine").status_code == 404


def test_a_session_drops_the_settings_of_a_request(http: httpx.Client, session: dict[str, str]):
    sql = "SELECT getSetting('max_block_size'), getSetting('max_threads') > 100"
    before = http.post("/", params=session, content=sql).text
    changed = {"max_block_size": "77", "max_threads": "101"}
    assert http.post("/", params=session | changed, content=sql).text == "77\t1\n"
    assert http.post("/", params=session, content=sql).text == before
    http.post("/", params=session, content="SET max_block_size = 5")
    assert http.post("/", params=session | changed, content=sql).text == "77\t1\n"
    assert http.post("/", params=session, content=sql).text == before.replace(before.split("\t")[0], "5", 1)


def test_the_database_of_a_request_ends_with_it(http: httpx.Client, database: str, session: dict[str, str]):
    sql = "SELECT currentDatabase()"
    assert http.post("/", params=session, content=sql).text == f"{database}\n"
    assert http.post("/", params=session | {"database": "system"}, content=sql).text == "system\n"
    assert http.post("/", params=session | {"database": ""}, content=sql).text != "system\n"


def test_a_session_in_use_is_locked(http: httpx.Client, clickhouse_url: str, session: dict[str, str]):
    def run_slowly() -> None:
        slow = {"params": session, "content": "SELECT sleepEachRow(1) FROM numbers(2)", "timeout": 30}
        while is_locked_for(httpx.post(clickhouse_url, **slow)):
            pass

    thread = threading.Thread(target=run_slowly)
    thread.start()
    wait_until(lambda: is_locked_for(http.post("/", params=session, content="SELECT 1")), "the session is locked")
    thread.join()
    assert http.post("/", params=session, content="SELECT 1").text == "1\n"


def test_a_session_ends_after_its_timeout(http: httpx.Client, session: dict[str, str]):
    check = session | {"session_check": "1", "session_timeout": "1"}
    assert http.post("/", params=session | {"session_timeout": "1"}, content="SELECT 1").text == "1\n"
    assert http.post("/", params=check, content="SELECT 1").text == "1\n"
    names = session | {"session_check": "1", "session_timeout": "0"}
    assert http.post("/", params=names, content="SELECT 1").text == "1\n"
    wait_until(lambda: http.post("/", params=names, content="SELECT 1").status_code != 200, "the session is gone")


def test_clickhouse_connect_may_use_sessions(clickhouse_url: str):
    with connect(clickhouse_url, autogenerate_session_id=True) as client:
        client.command("CREATE TEMPORARY TABLE mine (a Int8)")
        client.insert("mine", [[1], [2]], column_names=["a"], column_type_names=["Int8"])
        assert client.query("SELECT sum(a) FROM mine", settings={"max_threads": 1}).result_rows == [(3,)]


@pytest.mark.parametrize("by_form", [False, True])
def test_external_data_is_a_table_of_the_query(clickhouse_url: str, *, by_form: bool):
    data = ExternalData(
        file_name="people.csv", data=b'1,Ann\n2,"B""ob"\n', fmt="CSV", structure=["id Int32", "name String"]
    )
    data.add_file(file_name="numbers", data=b"1\n2\n3\n", types=["UInt8"])
    sql = "SELECT name, (SELECT sum(_1) FROM numbers) FROM people WHERE id >= {least:Int32} ORDER BY id"
    with connect(clickhouse_url, form_encode_query_params=by_form) as client:
        rows = client.query(sql, parameters={"least": 1}, external_data=data).result_rows
        raw = client.raw_query(sql, parameters={"least": 2}, external_data=data, fmt="CSV")
        assert client.command("SELECT count() FROM people", external_data=data) == 2
    assert rows == [("Ann", 6), ('B"ob', 6)]
    assert raw == b'"B""ob",6\n'


def test_external_data_is_gone_after_its_request(http: httpx.Client, session: dict[str, str]):
    sql = session | {"query": "SELECT sum(a) FROM mine", "mine_structure": "a Int64"}
    for rows, total in [(b"1\n2\n", "3\n"), (b"5\n", "5\n")]:
        assert http.post("/", params=sql, files={"mine": rows}).text == total
    assert http.post("/", params=session, content="SELECT sum(a) FROM mine").status_code == 404


def test_external_data_needs_a_structure(clickhouse: Client):
    with pytest.raises(DatabaseError) as caught:
        clickhouse.query("SELECT * FROM mine", external_data=ExternalData(file_name="mine", data=b"1\n"))
    assert caught.value.code == 36


def test_a_compound_type_is_one_type(http: httpx.Client):
    sql = {
        "query": "SELECT _1, _2['k'], _3 FROM m FORMAT TSV",
        "m_types": "Array(UInt8),Map(String, UInt8), Decimal(9, 2)",
    }
    assert http.post("/", params=sql, files={"m": b"[1,2]\t{'k':7}\t1.50\n"}).text == "[1,2]\t7\t1.5\n"
