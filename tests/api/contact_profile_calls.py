"""Requests about contact profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rapport.domain.api_keys import Role
from tests.fixtures.api import check_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from tests.fixtures.api import Caller

MOUNTS: Final = ("/new/v2.0/profiles", "/api/v2.0/profiles")
ROUTE: Final = MOUNTS[0]
SEED: Final[Mapping[str, Any]] = {
    "profile": {
        "prevent_data_collection": True,
        "accepted_gdpr": True,
        "privacy_policy": {},
        "tasks": ["buyer"],
        "memories": [{"id": "123456", "timestamp": "2024-09-23T08:37:00Z", "text": "This is a memory."}],
        "firstname": "Max",
        "lastname": "Mustermann",
        "email": "jsmith@example.com",
        "profilepic": "",
    },
    "active": True,
    "contactIds": ["mail@example.com"],
    "projectId": "5d5f3a2b1c0d9e8f7a6b5c4d",
}


def ask(
    caller: Caller, method: str, path: str, *, role: Role = Role.ADMIN, headers: Any = None, **options: Any
) -> httpx.Response:
    """Send a request and check what holds for every answer."""
    given = {"X-API-Key": caller.keys[role], **(headers or {})}
    answer = caller.client.request(method, path, headers=given, **options)
    if answer.status_code >= 400:
        check_error(answer)
    return answer


def made(caller: Caller, mount: str = ROUTE, **body: Any) -> dict[str, Any]:
    answer = ask(caller, "POST", mount, json={"profile": {}, **body})
    assert answer.status_code == 201, answer.text
    entity: dict[str, Any] = answer.json()
    return entity
