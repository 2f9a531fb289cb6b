from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rapport.embedded.supervisor.ports import find_free_port
from rapport.settings import ClickHouseSettings, Secret
from rapport.storage.client import Store, connect
from rapport.storage.errors import TRANSIENT_CODES, StorageError, TerminalStorageError, TransientStorageError
from tests.fixtures.clickhouse import EndpointProcess
from tests.fixtures.store import make_database_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ON_THE_ENGINE = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
HARD_TEXTS = [
    "",
    "'",
    '"',
    "`",
    "\\",
    "\\'",
    "\t",
    "\n",
    "\\N",
    "%s",
    "&a=b",
    "{p:String}",
    "ü 日本 🎈",
    "; DROP TABLE t",
]
ALREADY_EXISTS, SYNTAX_ERROR, UNKNOWN_DATABASE, UNKNOWN_TABLE, THROW_IF = 57, 62, 81, 60, 395

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@pytest.fixture
def ask(store: Store, tmp_path: Path) -> Callable[..., pl.DataFrame]:
    """Run a query given as text in the way of the files of ``sql/queries``."""
    numbers = iter(range(1_000))

    def run(sql: str, parameters: dict[str, Any] | None = None, **frames: pl.DataFrame) -> pl.DataFrame:
        path = tmp_path / f"query_{next(numbers)}"
        path.with_suffix(".sql").write_text(sql, "utf-8")
        return store.select(str(path), parameters, frames=frames)

    return run


def throw(code: int, text: str = "broken") -> str:
    return f"SELECT throwIf(true, '{text}', toInt16({code})) SETTINGS allow_custom_error_code_in_throwif = true"


def test_text_parameters_arrive_as_they_were_sent(ask: Callable[..., pl.DataFrame]):
    sql = "SELECT {one:String} AS one, {many:Array(String)} AS many"
    for text in HARD_TEXTS:
        assert ask(sql, {"one": text, "many": [text, "x"]}).rows() == [(text, [text, "x"])]
    assert ask(sql, {"one": "", "many": HARD_TEXTS}).rows() == [("", HARD_TEXTS)]


def test_other_parameters_arrive_as_they_were_sent(ask: Callable[..., pl.DataFrame]):
    sql = "SELECT {n:UInt64} AS n, {b:Bool} AS b, {none:Array(String)} AS none, {numbers:Array(UInt64)} AS numbers"
    parameters = {"n": 2**64 - 1, "b": False, "none": [], "numbers": [0, 2**64 - 1]}
    assert ask(sql, parameters).to_dicts() == [parameters]


@ON_THE_ENGINE
@given(
    rows=st.lists(
        st.tuples(texts, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(-(2**63), 2**63 - 1))
    )
)
def test_frames_are_tables_that_a_query_joins(ask: Callable[..., pl.DataFrame], rows: list[tuple[Any, ...]]):
    schema = {"text": pl.String, "large": pl.UInt64, "small": pl.UInt32, "signed": pl.Int64}
    frame = pl.DataFrame(rows, schema, orient="row")
    counts = pl.DataFrame({"text": [row[0] for row in rows]}, {"text": pl.String})
    found = ask("SELECT * FROM given", given=frame)
    assert sorted(found.rows()) == sorted(rows)
    (both,) = ask("SELECT count() FROM given WHERE text IN (SELECT text FROM others)", given=frame, others=counts).row(
        0
    )
    assert both == len(rows)


def test_a_query_without_rows_returns_an_empty_frame(ask: Callable[..., pl.DataFrame]):
    assert ask("SELECT number FROM numbers(0)").is_empty()
    assert ask("SELECT number FROM numbers(3)")["number"].to_list() == [0, 1, 2]


def test_a_large_result_is_returned_whole(ask: Callable[..., pl.DataFrame]):
    assert ask("SELECT number FROM numbers(1000000)")["number"].sum() == sum(range(1_000_000))


@pytest.mark.parametrize("code", sorted(TRANSIENT_CODES))
def test_errors_that_may_pass_are_transient(store: Store, code: int):
    with pytest.raises(TransientStorageError, match="broken") as caught:
        store.execute(throw(code))
    assert caught.value.code == code


def test_a_full_disk_is_transient_under_any_code(store: Store):
    text = "Cannot write to file /store/data.bin, errno: 28, strerror: No space left on device"
    with pytest.raises(TransientStorageError, match="No space left") as caught:
        store.execute(throw(75, text))
    assert caught.value.code == 75


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELEC 1", SYNTAX_ERROR),
        ("SELECT * FROM nowhere", UNKNOWN_TABLE),
        (throw(THROW_IF), THROW_IF),
        (throw(32_000), 32_000),
    ],
)
def test_permanent_and_unknown_errors_are_terminal(store: Store, statement: str, code: int):
    with pytest.raises(TerminalStorageError) as caught:
        store.execute(statement)
    assert caught.value.code == code


def test_an_error_in_the_middle_of_a_result_is_raised(ask: Callable[..., pl.DataFrame]):
    with pytest.raises(TerminalStorageError) as caught:
        ask("SELECT number, throwIf(number = 900000) FROM numbers(1000000) SETTINGS max_block_size = 1000")
    assert caught.value.code == THROW_IF


def test_a_row_that_does_not_fit_is_refused_by_inserts(store: Store):
    with pytest.raises(TerminalStorageError):
        store.insert("tenants", pl.DataFrame({"tenant_id": ["a"], "nonsense": [1]}))
    with pytest.raises(TerminalStorageError):
        store.insert("nowhere", pl.DataFrame({"a": [1]}))


def test_an_insert_keeps_hard_texts_and_fills_in_defaults(store: Store):
    store.insert("tenants", pl.DataFrame({"tenant_id": HARD_TEXTS, "name": HARD_TEXTS[::-1]}))
    rows = store.rows("tenants/tenants", {"tenant_ids": []})
    assert {(row["tenant_id"], row["name"]) for row in rows} == set(zip(HARD_TEXTS, HARD_TEXTS[::-1], strict=True))
    assert {(row["time_zone"], bool(row["is_active"])) for row in rows} == {("UTC", True)}


def test_inserting_an_empty_frame_sends_nothing(store: Store):
    store.insert("nowhere", pl.DataFrame())
    store.insert("nowhere", pl.DataFrame(schema={"a": pl.String}))


def test_an_object_that_exists_is_an_error_unless_it_is_tolerated(store: Store):
    statement = "CREATE TABLE tenants (a UInt8) ENGINE = Memory"
    store.execute(statement, tolerate_existing=True)
    with pytest.raises(TerminalStorageError) as caught:
        store.execute(statement)
    assert caught.value.code == ALREADY_EXISTS
    with pytest.raises(TerminalStorageError):
        store.execute("CREATE TABLE", tolerate_existing=True)


def test_every_call_is_timed_under_the_name_of_its_query_even_if_it_fails(store: Store):
    timed: list[str] = []

    @contextmanager
    def timer(name: str) -> Iterator[None]:
        try:
            yield
        finally:
            timed.append(name)

    watched = replace(store, timer=timer)
    watched.rows("tenants/tenants", {"tenant_ids": []})
    watched.insert("tenants", pl.DataFrame({"tenant_id": ["a"]}))
    watched.command("repairs/finish", {"repair_id": "r", "source": "s"})
    with pytest.raises(StorageError):
        watched.select("stream/progress")
    assert timed == ["tenants/tenants", "insert/tenants", "repairs/finish", "stream/progress"]


def test_a_server_that_does_not_answer_is_transient():
    with pytest.raises(TransientStorageError, match="does not answer"):
        connect(ClickHouseSettings(url=f"http://127.0.0.1:{find_free_port()}", password=Secret("hush"), timeout_s=1))


def test_credentials_in_the_address_are_used_and_not_shown(tmp_path: Path):
    endpoint = EndpointProcess(tmp_path / "clickhouse")
    endpoint.password = "a%40:/@ü"  # noqa: S105 - what an address must quote
    endpoint.start()
    try:
        place = f"127.0.0.1:{endpoint.port}"
        address = f"http://default:{quote(endpoint.password, safe='')}@{place}"
        right = ClickHouseSettings(url=address, user="x", password=Secret("x"), database="default")
        connect(right).close()
        beside = ClickHouseSettings(url=f"http://{place}", password=Secret(endpoint.password), database="default")
        connect(beside).close()
        with pytest.raises(TerminalStorageError):
            connect(ClickHouseSettings(url=f"http://{place}", password=Secret("x"), database="default"))
    finally:
        endpoint.stop()
    with pytest.raises(TransientStorageError, match=f"at http://{place} does not answer"):
        connect(right)


def test_a_database_that_does_not_exist_is_terminal(clickhouse_url: str):
    with pytest.raises(TerminalStorageError) as caught:
        connect(make_database_settings(clickhouse_url, "nowhere"))
    assert caught.value.code == UNKNOWN_DATABASE


def test_a_server_that_goes_away_is_transient_until_it_is_back(tmp_path: Path):
    endpoint = EndpointProcess(tmp_path / "data")
    endpoint.start()
    try:
        with contextlib.closing(
            connect(ClickHouseSettings(url=endpoint.url, database="default", timeout_s=5))
        ) as store:
            endpoint.kill()
            frame = pl.DataFrame({"a": [1]})
            for call in (lambda: store.execute("SELECT 1"), lambda: store.insert("t", frame)):
                with pytest.raises(TransientStorageError):
                    call()
            endpoint.start()
            store.execute("SELECT 1")
    finally:
        endpoint.stop()


def test_on_a_cluster_writes_wait_for_a_quorum_and_reads_see_them(clickhouse_url: str):
    single = make_database_settings(clickhouse_url, "default")
    cluster = ClickHouseSettings(
        url=single.url, user=single.user, password=single.password, database="default", insert_quorum=2
    )
    with contextlib.closing(connect(single)) as one, contextlib.closing(connect(cluster)) as many:
        assert one.insert_settings.get("insert_quorum") is None
        assert one.select_settings == {}
        assert many.insert_settings["insert_quorum"] == 2
        assert many.select_settings == {"select_sequential_consistency": 1}


def test_threads_may_share_a_store(ask: Callable[..., pl.DataFrame]):
    def answer(n: int) -> int:
        frame = pl.DataFrame({"n": [n]}, {"n": pl.UInt64})
        return int(ask("SELECT n + {more:UInt64} + sleep(0.01) AS n FROM given", {"more": n}, given=frame).item())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(answer, range(40))) == [2 * n for n in range(40)]
