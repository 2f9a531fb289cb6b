"""Freshness of reads, and reading your own writes: X-Data-Lag-Ms, X-Min-Position and X-Max-Wait-Ms."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.errors import ApiError
from api.runtime.positions import MAX_PARTITIONS, format_position, parse_position
from tests.faults.world import World
from tests.fixtures.api import CallerFactory, running_api
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.fixtures.api import Caller
    from tests.fixtures.kafka import BrokerServer

READS: Final = (
    "/interaction-history",
    "/interaction-summaries?customerId=ann",
    "/interaction-summary",
)
CLICK: Final = {"customerId": "ann", "outcome": "click"}


@pytest.mark.parametrize("path", READS)
def test_a_read_says_how_old_it_may_be(caller: Caller, path: str):
    wait_until(lambda: "x-data-lag-ms" in caller.get(path).headers, "the age of the data is known")
    assert int(caller.get(path).headers["x-data-lag-ms"]) >= 0


def test_while_nothing_happens_reads_are_at_most_300_ms_old(caller: Caller):
    caller.record(CLICK)
    caller.read(READS[0])
    wait_until(lambda: (_lag(caller) or 9_999) <= 300, "the age is the truth", seconds=20)


def test_what_answers_nothing_from_the_tables_says_nothing_of_their_age(caller: Caller):
    assert "x-data-lag-ms" not in caller.get("/api-keys").headers


@pytest.mark.parametrize("path", READS)
def test_a_read_with_the_position_of_a_write_waits_for_it(caller: Caller, path: str):
    caller.record(CLICK)
    answer = caller.get(path, headers={"X-Min-Position": caller.position, "X-Max-Wait-Ms": "20000"})
    assert answer.status_code == 200
    assert "click" in answer.text


def test_of_several_partitions_all_are_waited_for(caller: Caller):
    for partition in range(3):
        caller.record(CLICK, partition=partition)
    assert len(parse_position(caller.position)) == 3
    assert caller.read("/interaction-history")["pagination"]["total"] == 3


def test_a_position_that_is_not_reached_in_the_time_the_client_chose_is_409(caller: Caller):
    for path in READS:
        answer = caller.get(path, headers={"X-Min-Position": "0:999999999", "X-Max-Wait-Ms": "1"})
        assert (answer.status_code, answer.json()["code"]) == (409, "NOT_YET_APPLIED")
        assert "0:999999999" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) >= 1


def test_a_partition_that_does_not_exist_is_not_reached(caller: Caller):
    answer = caller.get(READS[0], headers={"X-Min-Position": "77:0", "X-Max-Wait-Ms": "0"})
    assert answer.json()["code"] == "NOT_YET_APPLIED"


NONSENSE: Final[list[Mapping[str, str]]] = [
    {"X-Min-Position": position} for position in ("", "x", "1", "1:", ":1", "1:-1", "1:1.5", "1:1;2:2", "1:1,", "1:²")
]


@pytest.mark.parametrize(
    "headers",
    [
        *NONSENSE,
        {"X-Min-Position": "1:" + "9" * 19},
        {"X-Min-Position": ",".join(f"{n}:0" for n in range(MAX_PARTITIONS + 1))},
        *({"X-Min-Position": "0:0", "X-Max-Wait-Ms": wait} for wait in ("", "-1", "30001", "1e3", "soon", "9" * 5_000)),
    ],
    ids=lambda headers: str(headers)[:60],
)
def test_nonsense_is_400_and_names_the_header(caller: Caller, headers: Mapping[str, str]):
    raw: dict[str, Any] = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = caller.get(READS[0], headers=raw)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    (fault,) = answer.json()["details"]
    assert fault["field"] == list(headers)[-1]


def test_no_position_is_waited_for_where_no_tables_are_read(caller: Caller):
    assert caller.get("/api-keys", headers={"X-Min-Position": "0:999999999"}).status_code == 200


@given(st.dictionaries(st.integers(0, 10_000), st.integers(0, 10**17), min_size=1, max_size=20))
def test_a_position_is_read_as_it_was_written(offsets: dict[int, int]):
    assert parse_position(format_position(offsets)) == offsets


@given(st.text(max_size=20))
def test_any_text_is_a_position_or_a_fault(text: str):
    try:
        offsets = parse_position(text)
    except ApiError:
        return
    assert offsets


def test_the_lag_grows_and_writes_are_not_applied_while_no_worker_runs(
    broker: BrokerServer, clickhouse_url: str, tmp_path: Path
):
    world = World(broker.bootstrap, clickhouse_url, f"slow{uuid.uuid4().hex[:10]}", tmp_path)
    world.open(tenants=())
    try:
        with running_api(world) as client:
            caller = CallerFactory(client, world)()
            caller.record(CLICK)
            waiting = {"X-Min-Position": caller.position, "X-Max-Wait-Ms": "50"}
            assert caller.get(READS[0], headers=waiting).json()["code"] == "NOT_YET_APPLIED"
            worker = world.start_worker()
            wait_until(lambda: caller.get(READS[0], headers=waiting).is_success, "it is applied", seconds=90)
            assert caller.read(READS[0])["pagination"]["total"] == 1
            wait_until(lambda: _lag(caller) is not None, "the age of the data is known")
            worker.kill()
            caller.record(CLICK)
            fresh = _lag(caller) or 0
            wait_until(lambda: (_lag(caller) or 0) > fresh + 1_500, "the lag grows")
    finally:
        world.close()


def test_a_log_that_is_shorter_than_what_was_applied_makes_nothing_fresh(
    broker: BrokerServer, clickhouse_url: str, tmp_path: Path
):
    world = World(broker.bootstrap, clickhouse_url, f"anew{uuid.uuid4().hex[:10]}", tmp_path)
    world.open(tenants=())
    try:
        with running_api(world) as client:
            caller = CallerFactory(client, world)()
            worker = world.start_worker()
            caller.record(CLICK)
            caller.read(READS[0])
            worker.kill()
            world.store.execute(
                "INSERT INTO stream_progress SELECT * REPLACE (next_offset + 1000 AS next_offset) "
                "FROM stream_progress FINAL"
            )
            caller.record(CLICK)
            waiting = {"X-Min-Position": caller.position, "X-Max-Wait-Ms": "0"}
            wait_until(lambda: caller.get(READS[0], headers=waiting).status_code == 409, "the API has noticed")
            fresh = _lag(caller) or 0
            wait_until(lambda: (_lag(caller) or 0) > fresh + 1_500, "the lag grows")
            assert caller.get(READS[0], headers=waiting).status_code == 409
    finally:
        world.close()


def _lag(caller: Caller) -> int | None:
    said = caller.get(READS[0]).headers.get("x-data-lag-ms")
    return None if said is None else int(said)
