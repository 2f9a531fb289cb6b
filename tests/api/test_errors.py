"""One body for every error, whoever refuses: the framework, the API or the database. It shows nothing of the inside."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import pytest

from rapport.domain.api_keys import Role
from tests.faults.world import World
from tests.fixtures.api import CallerFactory, check_error, running_api
from tests.fixtures.clickhouse import EndpointProcess
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from litestar.testing import TestClient

    from tests.fixtures.api import Caller
    from tests.fixtures.kafka import BrokerServer

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"


def test_the_body_satisfies_rfc_9457_and_both_documented_shapes(caller: Caller):
    answer = caller.get("/interaction-summaries", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    assert answer.json() == {
        "type": "urn:rapport:problem:validation-error",
        "title": "Bad Request",
        "status": 400,
        "detail": "customerId is required",
        "instance": "/api/v1/interaction-summaries",
        "code": "VALIDATION_ERROR",
        "traceId": TRACE,
        "details": [{"field": "customerId", "message": "customerId is required"}],
        "error": {"code": "VALIDATION_ERROR", "message": "customerId is required", "status": 400},
    }


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01"])
def test_a_request_without_a_trace_gets_one(caller: Caller, traceparent: str):
    first, second = (caller.get("/nothing", headers={"traceparent": traceparent}).json() for _ in range(2))
    assert len({first["traceId"], second["traceId"], "0" * 32}) == 3


@pytest.mark.parametrize(
    "path", ["/nothing", "/interaction-history/more", "/../../etc/passwd", "/%00", "/" + "x" * 2_000]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_an_unknown_route_is_404(caller: Caller, method: str, path: str):
    answer = caller.ask(method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/", "/nothing", "/docs/assets/nothing", "/docs/assets/..%2F__init__"])
def test_an_unknown_route_outside_of_the_api_is_404_too(api_client: TestClient[Any], path: str):
    answer = api_client.get(path)
    assert answer.status_code == 404
    check_error(answer)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/interaction-history", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/interaction-summaries", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/api-keys", {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_405_and_says_which_are_allowed(caller: Caller, method: str, path: str, allowed: set[str]):
    answer = caller.ask(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    named = {name.strip() for name in answer.headers["allow"].split(",")}
    assert named <= allowed
    assert named >= allowed - {"HEAD", "OPTIONS"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/interaction-history", {"GET", "HEAD", "OPTIONS"}),
        ("/api-keys", {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}),
        ("/offers/o1", {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}),
    ],
)
def test_options_says_which_methods_a_path_has(caller: Caller, path: str, allowed: set[str]):
    answer = caller.ask("OPTIONS", path)
    assert answer.status_code == 204
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is required"),
        (b"{", "is not JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"name": "\xff"}', "is not UTF-8"),
        (b'{"name": ' + b"[" * 100_000, "is nested deeper than 64 levels"),
    ],
)
def test_a_body_that_is_no_json_object_is_400(caller: Caller, body: bytes, said: str):
    answer = caller.ask("POST", "/api-keys", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    (fault,) = answer.json()["details"]
    assert fault["field"] == ("name" + "[0]" * 31 if "nested" in said else "body")
    assert said in fault["message"]


def test_all_faults_of_a_body_are_named_at_once(caller: Caller):
    wrong = {"nam": "x", "role": "owner", "scopes": 3, "expiresAt": [], "name": "x" * 201}
    answer = caller.post("/api-keys", wrong)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["details"]] == sorted(wrong)
    assert all(fault["message"] in answer.json()["detail"] for fault in answer.json()["details"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "many", "days": "x", "offset": "-1"},
        {"limit": "1.5", "days": "0"},
        {"limit": "9" * 5_000},
        {"days": "367", "offset": "1000001"},
    ],
)
def test_all_parameters_of_a_wrong_type_are_named_at_once(caller: Caller, wrong: Mapping[str, str]):
    answer = caller.get("/interaction-summary", params=wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert {fault["field"] for fault in answer.json()["details"]} == set(wrong)


@pytest.mark.parametrize(
    "query", ["customerId=%ff", "customerId=a&customerId=b", "customerId=%ED%A0%80", "&&=&limit", ";"]
)
def test_a_query_that_is_odd_is_answered_or_refused_but_never_an_internal_error(caller: Caller, query: str):
    assert caller.get(f"/interaction-summaries?{query}").status_code in {200, 400}
    assert caller.get(f"/interaction-history?{query}").status_code in {200, 400}


def test_a_parameter_that_is_too_long_is_400(caller: Caller):
    answer = caller.get("/interaction-history", params={"offerId": "x" * 257})
    assert [fault["field"] for fault in answer.json()["details"]] == ["offerId"]


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_body_that_is_too_large_is_413(caller: Caller, *, is_announced: bool):
    body = b'{"name": "' + b"x" * 1_048_576 + b'"}'
    content = body if is_announced else iter([body[:500_000], body[500_000:]])
    answer = caller.ask("POST", "/api-keys", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "given", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "x" * 300]
)
def test_a_media_type_that_is_not_supported_is_415(caller: Caller, given: str):
    answer = caller.ask("POST", "/api-keys", content=b"name=x", headers={"Content-Type": given})
    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("given", ["application/json; charset=utf-8", "APPLICATION/JSON"])
def test_parameters_and_case_of_a_media_type_do_not_matter(caller: Caller, given: str):
    answer = caller.ask("POST", "/api-keys", content=b"{}", headers={"Content-Type": given})
    assert answer.status_code == 201


@pytest.fixture
def own_endpoint(tmp_path: Path) -> Iterator[EndpointProcess]:
    """A ClickHouse that the test may kill."""
    endpoint = EndpointProcess(tmp_path / "clickhouse")
    endpoint.start()
    try:
        yield endpoint
    finally:
        endpoint.kill()


def test_while_the_database_is_away_everything_that_needs_it_is_503_with_retry_after(
    own_endpoint: EndpointProcess, broker: BrokerServer, tmp_path: Path
):
    world = World(broker.bootstrap, own_endpoint.url, f"away{uuid.uuid4().hex[:10]}", tmp_path)
    world.open(tenants=())
    with running_api(world, CLICKHOUSE_TIMEOUT_S="2") as client:
        known, unseen = CallerFactory(client, world)(), CallerFactory(client, world)()
        read = {"params": {"customerId": "c"}}
        assert known.get("/interaction-summaries", **read).status_code == 200
        assert unseen.keys[Role.ADMIN]  # made while there is a database
        own_endpoint.kill()
        answers = [
            known.get("/interaction-summaries", **read),
            known.get("/interaction-history"),
            known.get("/interaction-summary"),
            known.get("/api-keys"),
            known.post("/api-keys", {}),
            unseen.get("/interaction-history"),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
        own_endpoint.start()
        wait_until(lambda: known.get("/interaction-history").status_code == 200, "it serves again by itself")
        assert unseen.get("/interaction-history").status_code == 200
        wait_until(lambda: client.get("/health/ready").status_code == 200, "it is ready again")
    world.store.close()


def test_a_database_that_refuses_is_500_and_shows_nothing_of_it(
    broker: BrokerServer, clickhouse_url: str, tmp_path: Path
):
    world = World(broker.bootstrap, clickhouse_url, f"bad{uuid.uuid4().hex[:10]}", tmp_path)
    world.open(tenants=())
    with running_api(world) as client:
        caller = CallerFactory(client, world)()
        assert caller.get("/interaction-history").status_code == 200
        world.store.execute("DROP VIEW interactions")
        answer = caller.get("/interaction-history")
        assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
        assert answer.json()["traceId"] in answer.json()["detail"]
    world.close()


@pytest.mark.parametrize(
    ("path", "field", "message"),
    [
        (
            "/interaction-summary?groupBy=offer&day=7",
            "day",
            "is not known; this route takes days, groupBy, limit, offset",
        ),
        ("/outcome-types/click?limit=1", "limit", "is not known; this route takes no parameters"),
    ],
)
def test_a_parameter_that_a_route_does_not_take_is_refused_not_passed_over(
    caller: Caller, path: str, field: str, message: str
):
    answer = caller.get(path)
    assert (answer.status_code, answer.json()["details"]) == (400, [{"field": field, "message": message}])


def test_all_unknown_parameters_are_named_at_once(caller: Caller):
    answer = caller.get("/interaction-history?outcome=click&customerId=ann&outcome=&%C3%A9t%C3%A9=1")
    assert answer.status_code == 400
    assert sorted(one["field"] for one in answer.json()["details"]) == ["outcome", "été"]


@pytest.mark.parametrize("path", ["/docs/openapi.json?v=1", "/docs/assets/start.js?v=1"])
def test_what_is_no_operation_is_served_with_any_parameters(api_client: TestClient[Any], path: str):
    assert api_client.get(path).status_code == 200
