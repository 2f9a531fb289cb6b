"""Authentication: the headers of keys, X-Tenant-Id, and the development switch."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from litestar.testing import TestClient

from api.app import create_app
from rapport.domain.api_keys import Role
from rapport.embedded.supervisor.ports import LOOPBACK
from rapport.storage.tenants import change_tenant
from tests.fixtures.api import CallerFactory, FromAddress, api_settings, check_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.faults.world import World
    from tests.fixtures.api import Caller

READ: Final = "/api/v1/interaction-history"


def status(client: TestClient[Any], **headers: str) -> int:
    answer = client.get(READ, headers={name.replace("_", "-"): value for name, value in headers.items()})
    if answer.status_code >= 400:
        check_error(answer)
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "UNAUTHORIZED"
    return answer.status_code


def test_a_key_may_come_in_either_header_or_in_both(caller: Caller):
    client, key = caller.client, caller.keys[Role.VIEWER]
    assert status(client, X_API_Key=key) == 200
    assert status(client, Authorization=f"Bearer {key}") == 200
    assert status(client, Authorization=f"bearer   {key} ", X_API_Key=f" {key}") == 200


def test_two_different_keys_in_two_headers_are_refused_though_both_are_valid(caller: Caller):
    viewer, admin = caller.keys[Role.VIEWER], caller.keys[Role.ADMIN]
    assert status(caller.client, X_API_Key=viewer, Authorization=f"Bearer {admin}") == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "krn_" + "0" * 40},
        {"X-API-Key": "krn_short"},
        {"X-API-Key": "krn_" + "é" * 40},
        {"X-API-Key": "' OR 1 = 1 --"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic a2V5OnNlY3JldA=="},
        {"Cookie": "X-API-Key=krn_"},
    ],
)
def test_without_a_valid_key_it_is_401(caller: Caller, headers: Mapping[str, str]):
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = caller.client.get(READ, headers=raw)
    assert answer.status_code == 401
    check_error(answer)
    assert answer.headers["www-authenticate"]


def test_a_key_in_the_query_is_none(caller: Caller):
    key = caller.keys[Role.ADMIN]
    assert caller.client.get(READ, params={"X-API-Key": key, "x-api-key": key}).status_code == 401


def test_the_tenant_comes_from_the_key_and_naming_it_too_changes_nothing(caller: Caller):
    key = caller.keys[Role.VIEWER]
    assert status(caller.client, X_API_Key=key, X_Tenant_Id=caller.tenant_id) == 200
    assert status(caller.client, X_API_Key=key, X_Tenant_Id=f"  {caller.tenant_id} ") == 200
    assert status(caller.client, X_API_Key=key, X_Tenant_Id="") == 200


def test_naming_another_tenant_than_the_keys_is_403(new_caller: CallerFactory):
    caller, other = new_caller(), new_caller()
    key = caller.keys[Role.ADMIN]
    for tenant_id in (other.tenant_id, "nobody", caller.tenant_id.upper()):
        assert status(caller.client, X_API_Key=key, X_Tenant_Id=tenant_id) == 403


def test_naming_a_tenant_without_a_key_is_401(caller: Caller):
    assert status(caller.client, X_Tenant_Id=caller.tenant_id) == 401


def test_the_tenant_of_a_key_must_be_active(new_caller: CallerFactory):
    caller = new_caller()
    change_tenant(caller.store, caller.tenant_id, is_active=False)
    assert status(caller.client, X_API_Key=caller.keys[Role.ADMIN]) == 403


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/docs", "/docs/openapi.json"])
def test_health_metrics_and_documents_need_no_key(caller: Caller, path: str):
    assert caller.client.get(path).status_code == 200


@contextmanager
def trusting(world: World, tenant_id: str) -> Iterator[tuple[TestClient[Any], FromAddress]]:
    """An API with the development switch on for a tenant, and from where it is asked."""
    app = FromAddress(create_app(api_settings(world, RAPPORT_API_TRUSTED_TENANT=tenant_id)), LOOPBACK)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.headers["Host"] = "localhost:3000"
        yield client, app


@pytest.fixture(scope="module")
def trusted(api_world: World, api_client: TestClient[Any]) -> Iterator[tuple[TestClient[Any], FromAddress, Caller]]:
    caller = CallerFactory(api_client, api_world)()
    with trusting(api_world, caller.tenant_id) as (client, app):
        yield client, app, caller


Trusted = tuple["TestClient[Any]", FromAddress, "Caller"]


def test_under_the_development_switch_the_trusted_tenant_needs_no_key(trusted: Trusted, caller: Caller):
    client, _, own = trusted
    assert status(client, X_Tenant_Id=own.tenant_id) == 200
    assert client.get("/api/v1/api-keys", headers={"X-Tenant-Id": own.tenant_id}).status_code == 200
    for host in (LOOPBACK, f"{LOOPBACK}:3000", "localhost", "[::1]:3000", "[::1]"):
        assert status(client, X_Tenant_Id=own.tenant_id, Host=host) == 200, host
    assert status(client) == 401
    assert status(client, X_Tenant_Id=caller.tenant_id) == 401
    assert status(client, X_Tenant_Id=own.tenant_id, X_API_Key="krn_wrong") == 401
    assert status(client, X_Tenant_Id=caller.tenant_id, X_API_Key=caller.keys[Role.VIEWER]) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example:3000"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Origin": "http://localhost:3000"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"CF-Connecting-IP": "127.0.0.1"},
    ],
)
def test_the_development_switch_refuses_what_was_forwarded_or_meant_for_another_host(
    trusted: Trusted, headers: Mapping[str, str]
):
    client, _, own = trusted
    named = {"X-Tenant-Id": own.tenant_id}
    assert client.get(READ, headers=named).status_code == 200
    assert client.get(READ, headers={**named, **headers}).status_code == 401


@pytest.mark.parametrize("address", ["10.0.0.7", "203.0.113.9", "::ffff:10.0.0.7", "testclient", None])
def test_the_development_switch_refuses_who_is_not_on_this_machine(
    trusted: Trusted, monkeypatch: pytest.MonkeyPatch, address: str | None
):
    client, app, own = trusted
    monkeypatch.setattr(app, "address", address)
    assert status(client, X_Tenant_Id=own.tenant_id) == 401


def test_the_development_switch_is_off_unless_it_is_set(api_world: World, caller: Caller):
    with trusting(api_world, "") as (client, _):
        assert status(client, X_Tenant_Id=caller.tenant_id) == 401
        assert status(client, X_Tenant_Id="") == 401
