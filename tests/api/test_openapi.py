"""The OpenAPI document: complete, with examples that are true, and shown by pages that need no outside address."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest
import yaml

from api.http.openapi_responses import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from litestar.testing import TestClient

METHODS: Final = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document(api_client: TestClient[Any]) -> Mapping[str, Any]:
    served: Mapping[str, Any] = api_client.get("/docs/openapi.json").json()
    return served


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield f"{method.upper()} {path}", methods[method]


def contents(operation: Mapping[str, Any]) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Status, media type and description of every body that an operation may answer with."""
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            yield int(status), media_type, content


def test_it_is_openapi_3_1_in_json_and_in_yaml(document: Mapping[str, Any], api_client: TestClient[Any]):
    assert document["openapi"].startswith("3.1")
    assert yaml.safe_load(api_client.get("/docs/openapi.yaml").text) == document
    assert set(document["components"]["securitySchemes"]) == {"ApiKey", "ApiKeyInQuery", "Bearer"}


def test_no_default_depends_on_the_order_in_which_the_routes_were_read(document: Mapping[str, Any]):
    shared = document["components"]["schemas"].values()
    assert [schema["title"] for schema in shared if "enum" in schema and "default" in schema] == []


def test_every_operation_is_summarised_and_has_an_id_of_its_own(document: Mapping[str, Any]):
    found = list(operations(document))
    assert [name for name, operation in found if not operation.get("summary")] == []
    assert len({operation["operationId"] for _, operation in found}) == len(found)


def test_every_answer_with_a_body_has_an_example(document: Mapping[str, Any]):
    bare = [
        (name, status)
        for name, operation in operations(document)
        for status, _, content in contents(operation)
        if not content.get("examples")
    ]
    assert bare == []


def test_every_example_fits_its_schema(document: Mapping[str, Any]):
    unfit = []
    for name, operation in operations(document):
        for status, media_type, content in contents(operation):
            schema = {**content["schema"], "components": document["components"]}
            for example in content.get("examples", {}).values():
                try:
                    jsonschema.validate(example["value"], schema)
                except jsonschema.ValidationError as fault:
                    unfit.append((name, status, media_type, fault.json_path, fault.message))
    assert unfit == []


def test_every_route_with_a_key_documents_what_any_of_them_can_answer(document: Mapping[str, Any]):
    for name, operation in operations(document):
        if "/api/v1/" in name:
            statuses = {int(status) for status in operation["responses"]}
            assert set(ALWAYS) <= statuses, name
            assert any(200 <= status < 300 for status in statuses), name


def test_every_error_is_documented_with_the_one_body(document: Mapping[str, Any]):
    for name, operation in operations(document):
        for status, media_type, content in contents(operation):
            if status >= 400 and "/api/v1/" in name:
                assert media_type == "application/problem+json", (name, status)
                (example,) = content["examples"].values()
                assert example["value"]["status"] == status
                assert example["value"]["title"] == HTTPStatus(status).phrase


def test_the_viewer_and_what_it_loads_name_no_outside_address(api_client: TestClient[Any]):
    page = api_client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    loaded = [one for one in re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text) if one != "data:,"]
    assert len(loaded) >= 3
    for address in loaded:
        assert address.startswith("/docs/assets/")
        assert api_client.get(address).status_code == 200
    assert "://" not in page.text.split("spec:")[0]  # the document itself may follow, with its examples
    style = api_client.get("/docs/assets/swagger_style.css").text
    assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", style)


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/assets/nothing.js", "/docs/openapi.xml", "/docs/redoc"])
def test_what_is_not_there_is_404(api_client: TestClient[Any], path: str):
    assert api_client.get(path).status_code == 404
