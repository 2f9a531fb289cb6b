"""A version in ``If-Match``: whatever stands there, it is one or it is named, never an error of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

LONG: Final = "9" * 5_000


@pytest.mark.parametrize("value", [LONG, f'"{LONG}"', f'W/"{LONG}"', '"\u00b2"', '"1", "2"', "-1", "1_0", "", '"'])
def test_if_match_names_a_version_or_is_named(caller: Caller, value: str):
    assert caller.ask("PUT", "/customers/ann", json={"attributes": {"tier": "gold"}}).status_code == 201
    for method, path, sent in (
        ("PUT", "/customers/ann", {"json": {"attributes": {}}}),
        ("DELETE", "/customers/ann", {}),
        ("PUT", "/customers/ann", {"json": {"attributes": {}, "version": 1}}),
    ):
        answer = caller.ask(method, path, headers={"If-Match": value.encode("latin-1", "replace")}, **sent)
        assert (answer.status_code, [fault["field"] for fault in answer.json()["details"]]) == (400, ["If-Match"])
    assert caller.get("/customers/ann").json()["version"] == 1
