"""Ids in paths: encoded characters stay in their segment, on every route; a path never names another customer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import httpx
import pytest
from structlog.testing import CapturingLogger

from rapport.domain.api_keys import Role
from tests.fixtures.api_process import running_api_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import World
    from tests.fixtures.api import Caller

ROOT: Final = Path(__file__).parents[2]
IDS: Final = (
    "ACME/4711",
    "ada-h/",
    "/ada-h",
    "a/consents",
    "a//b",
    "/",
    "../ada",
    "50%",
    "a%2Fb",
    "%252F",
    "a?b=c",
    "a#b",
    "a b+c",
    "Zoë 雪",
    "a:b;c,d@e",
    "schema",
)


def encoded(text: str) -> str:
    """Dots too: clients take `.` and `..` out of a path."""
    return quote(text, safe="").replace(".", "%2E")


def test_a_customer_is_who_the_path_names(caller: Caller):
    for other in ("ada-h", "a"):
        caller.ask("PUT", f"/customers/{other}", json={"attributes": {"tier": "theirs"}})
        said = {"purpose": "marketing", "status": "granted"}
        assert caller.ask("PUT", f"/customers/{other}/consents", json={"consents": [said]}).status_code == 200
    for customer_id in ("ada-h/", "a/consents", "a//b", "../ada-h", "a%2Fconsents"):
        path = f"/customers/{encoded(customer_id)}"
        assert caller.ask("PUT", path, json={"attributes": {"tier": "mine"}}).status_code == 201
        mine = caller.get(path).json()
        assert (mine["customerId"], mine["attributes"]) == (customer_id, {"tier": "mine"})
        assert caller.get(f"{path}/consents").json()["consents"] == []
        assert caller.ask("DELETE", path).status_code == 204
    assert caller.get("/customers/ada-h").json()["attributes"] == {"tier": "theirs"}


def test_every_route_with_an_id_takes_it_whole(caller: Caller, monkeypatch: pytest.MonkeyPatch):
    document = caller.client.get("/docs/openapi.json").json()
    templates = [(method, path) for path, item in document["paths"].items() if "{" in path for method in item]
    assert len(templates) > 90
    for method, template in templates:
        for value in ("a/consents", "a/", "../b", "%2F"):
            path = re.sub(r"\{\w+\}", encoded(value), template)
            logger = CapturingLogger()
            monkeypatch.setattr("api.http.access_log.log", logger)
            caller.client.request(method.upper(), path, headers={"X-API-Key": caller.keys[Role.VIEWER]})
            (line,) = [call.kwargs for call in logger.calls if call.args == ("request",)]
            assert line["route"] == template, path


def test_an_empty_id_and_a_slash_behind_an_id_name_nobody(caller: Caller):
    for customer_id in ("ada", "consents"):
        caller.ask("PUT", f"/customers/{customer_id}", json={"attributes": {"tier": "gold"}})
    for path in ("/customers//consents", "/customers/ada/", "/customers//", "/customers/ada//consents"):
        for method, sent in (("GET", {}), ("PUT", {"json": {}}), ("DELETE", {})):
            assert caller.ask(method, path, **sent).status_code in {404, 405}, path
    for customer_id in ("ada", "consents"):
        assert caller.get(f"/customers/{customer_id}").json()["version"] == 1


@pytest.mark.parametrize("path", ["/customers/%ff", "/customers/%ED%A0%80/consents"])
def test_an_id_that_is_no_utf_8_is_refused(caller: Caller, path: str):
    answer = caller.get(path)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "%25" in answer.json()["detail"]


def test_an_entity_is_the_one_that_the_path_names(caller: Caller):
    caller.add_entities(offer=("summer", "active", {"name": "Mine"}))
    for path in ("/offers/summer%2F", "/offers/summer%2Fversions", "/offers/summer/", "/offers//summer"):
        assert caller.get(path).status_code == 404, path
    assert caller.get("/offers/%73ummer/versions").json()["data"][0]["id"] == "summer"


@pytest.mark.parametrize("path", ["/health/live/", "/api/v1/offers/", "/%61pi/v1/offers", "/docs/"])
def test_a_slash_at_the_end_that_belongs_to_no_id_is_passed_over(caller: Caller, path: str):
    assert caller.client.get(path, headers={"X-API-Key": caller.keys[Role.VIEWER]}).status_code == 200


@pytest.fixture(scope="module")
def api_url(api_world: World) -> Iterator[str]:
    """The address of an API as in production: the server itself hands paths over decoded."""
    with running_api_process(api_world) as url:
        yield url


def test_a_server_passes_ids_and_head_on_as_they_were_sent(api_url: str, caller: Caller):
    headers = {"X-API-Key": caller.keys[Role.ADMIN]}
    with httpx.Client(base_url=api_url, headers=headers) as client:
        for customer_id in IDS:
            path = f"/api/v1/customers/{encoded(customer_id)}"
            assert client.put(path, json={"attributes": {"tier": "gold"}}).status_code == 201, customer_id
            assert client.get(path).json()["customerId"] == customer_id
            seen, head = client.get(path), client.head(path)
            assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", seen.headers["etag"])
            assert head.headers["content-length"] == seen.headers["content-length"]
        assert client.get("/api/v1/customers/%ff").status_code == 400
        assert client.get("/api/v1/customers/ada/").status_code == 404


def test_no_answer_repeats_a_long_path(caller: Caller):
    for path in ("/x" * 30_000, f"/offers/{'x' * 60_000}", f"/customers/{'%25' * 20_000}"):
        answer = caller.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
        assert len(answer.content) < 2_000
        assert answer.json()["instance"] == f"/api/v1{path}"[:256] + "…"
