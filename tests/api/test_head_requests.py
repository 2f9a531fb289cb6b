"""HEAD is answered as GET is, without the body, on every route that has GET; callers' methods make no new metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rapport.domain.api_keys import Role

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

CHANGING: Final = {"/metrics", "/health/ready", "/api/v1/jobs", "/api/v1/api-keys"}
"""Routes whose answers may change between two requests (a key's last use is written a while after it)."""


def test_head_answers_as_get_does_without_the_body(caller: Caller):
    document = caller.client.get("/docs/openapi.json").json()
    headers = {"X-API-Key": caller.keys[Role.ADMIN]}
    paths = [re.sub(r"\{\w+\}", "nobody", path) for path, item in document["paths"].items() if "get" in item]
    assert {"/health/live", "/health/ready", "/metrics"} <= set(paths)
    for path in (*paths, "/docs", "/docs/openapi.json", "/docs/openapi.yaml", "/docs/assets/start.js"):
        seen, head = (caller.client.request(method, path, headers=headers) for method in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (seen.status_code, b""), path
        assert head.headers["content-type"] == seen.headers["content-type"], path
        if "/traces" not in path and path not in CHANGING and seen.status_code == 200:
            assert head.headers["content-length"] == seen.headers["content-length"], path


def test_what_has_no_get_has_no_head(caller: Caller):
    answer = caller.client.head("/api/v1/respond", headers={"X-API-Key": caller.keys[Role.ADMIN]})
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "OPTIONS, POST")


def test_head_needs_a_key_as_get_does(caller: Caller):
    assert caller.client.head("/api/v1/offers").status_code == 401


def test_methods_and_paths_that_callers_make_up_are_one_series(caller: Caller):
    for method in ("BREW", "X" * 200, "PROPFIND"):
        for path in ("/health/live", "/api/v1/offers/one", f"/nothing/{method}"):
            assert caller.client.request(method, path).status_code in {401, 404, 405}
    text = caller.client.get("/metrics").text
    methods = set(re.findall(r'rapport_api_requests_total\{method="([^"]*)"', text))
    assert "other" in methods
    assert methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}
    assert "/nothing" not in text
