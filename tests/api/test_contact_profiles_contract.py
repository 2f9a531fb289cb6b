"""The routes of contact profiles keep what the OpenAPI document says, whatever is sent to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rapport.domain.api_keys import Role

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

ROUTE: Final = "/new/v2.0/profiles"
CHECKS: Final = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
OPERATIONS: Final = [
    ("", "post"),
    ("", "get"),
    ("/schema/{project_id}", "get"),
    ("/{profile_id}", "get"),
    ("/{profile_id}", "patch"),
    ("/{profile_id}", "delete"),
    ("/{profile_id}/merge", "post"),
]


@pytest.fixture
def document(caller: Caller) -> dict[str, Any]:
    served: dict[str, Any] = caller.client.get("/docs/openapi.json").json()
    return served


def test_these_are_all_routes(document: dict[str, Any]):
    found = {
        (path.removeprefix(ROUTE), method)
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(ROUTE)
    }
    assert found == set(OPERATIONS)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_whatever_is_sent_is_answered_as_documented(caller: Caller, document: dict[str, Any], path: str, method: str):
    operation = schemathesis.openapi.from_dict(document)[ROUTE + path][method.upper()]
    headers = {"X-API-Key": caller.keys[Role.ADMIN]}

    @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), is_there=st.booleans())
    def answer(case: Any, *, is_there: bool) -> None:
        if is_there and "profile_id" in path:
            made = caller.client.post(ROUTE, headers=headers, json={"profile": {"firstname": "Max"}})
            case.path_parameters["profile_id"] = made.json()["_id"]
        sent = case.as_transport_kwargs(base_url="http://testserver", headers=headers)
        sent.pop("cookies", None)
        answered = caller.client.request(**sent)
        case.validate_response(answered, checks=CHECKS)

    answer()
