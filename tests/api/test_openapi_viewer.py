"""The viewer of the OpenAPI document: what its page may load, and what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from litestar.testing import TestClient


def test_its_policy_lets_it_load_from_its_own_address_alone(api_client: TestClient[Any]):
    page = api_client.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "<script>" not in page.text
    assert "validatorUrl: null" in api_client.get("/docs/assets/start.js").text


def test_the_document_is_written_once(api_client: TestClient[Any]):
    for name in ("openapi.json", "openapi.yaml"):
        assert api_client.get(f"/docs/{name}").content == api_client.get(f"/docs/{name}").content
        assert api_client.get(f"/docs/{name}").headers["content-type"].startswith("application/vnd.oai.openapi")


def test_only_routes_without_a_key_are_shown_without_a_lock(api_client: TestClient[Any]):
    document = api_client.get("/docs/openapi.json").json()
    assert document["security"]
    unlocked = {
        path for path, methods in document["paths"].items() for one in methods.values() if one.get("security") == [{}]
    }
    assert unlocked == {"/health/live", "/health/ready", "/metrics"}
    assert not any(path.startswith("/docs") for path in document["paths"])


def test_the_groups_are_shown_with_what_matters_most_first(api_client: TestClient[Any]):
    document = api_client.get("/docs/openapi.json").json()
    shown = [tag["name"] for tag in document["tags"]]
    assert shown[:2] == ["Writing", "Reading"]
    assert shown[-1] == "Operation"
    used = {tag for methods in document["paths"].values() for one in methods.values() for tag in one["tags"]}
    assert used == set(shown)
    assert all(tag["description"] for tag in document["tags"])


@pytest.mark.parametrize("path", ["/api/v1/respond", "/api/v1/api-keys", "/api/v1/outcome-types"])
def test_a_body_is_shown_with_an_example_that_fits(api_client: TestClient[Any], path: str):
    document = api_client.get("/docs/openapi.json").json()
    reference = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    (example,) = schema["examples"]
    assert set(schema["required"]) <= set(example) <= set(schema["properties"])
