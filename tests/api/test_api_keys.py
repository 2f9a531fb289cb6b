from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rapport.domain.api_keys import Role

if TYPE_CHECKING:
    from tests.fixtures.api import Caller


def test_a_key_is_shown_once_and_opens_the_api(caller: Caller):
    made = caller.post("/api-keys", {"name": "shop", "role": "viewer"})
    assert made.status_code == 201, made.text
    key = made.json()["key"]
    listed = caller.get("/api-keys").json()
    assert key not in str(listed)
    assert made.json()["prefix"] == key[:12]
    assert caller.get("/api-keys", headers={"X-API-Key": key}).status_code == 403


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_only_admins_see_keys(caller: Caller, role: Role):
    assert caller.get("/api-keys", role=role).status_code == 403


def test_every_fault_of_a_body_is_named(caller: Caller):
    answer = caller.post("/api-keys", {"nam": "x", "role": "owner", "scopes": 3})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["details"]] == ["nam", "role", "scopes"]
