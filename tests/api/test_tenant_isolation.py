"""No row of another tenant can be reached: every route of the API, with another tenant's values in every parameter.

Routes are taken from the OpenAPI document, so that one that comes later is covered by itself.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from rapport.domain.api_keys import Role
from rapport.domain.catalogue_checks.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx

    from tests.fixtures.api import Caller, CallerFactory

METHODS: Final = ("get", "post", "put", "patch", "delete")
THEIRS: Final = "theirsecret"
"""Is in everything that belongs to the other tenant and is never sent by the one who asks."""


def happen(caller: Caller, note: str) -> None:
    """The same ids at both tenants; what they hold differs."""
    caller.add_entities(**{kind: ("thing-1", "active", {"name": f"{note} {kind}"}) for kind in KINDS})
    for time in ("2026-03-15T14:30:00Z", "2026-04-30T10:00:00Z"):
        about = {"timestamp": time, "offerId": "thing-1", "creativeId": "thing-1", "channelId": "thing-1"}
        free = {"metadata": {"note": note}, "idempotencyKey": f"{note}-{time}"}
        caller.record(
            {"customerId": "customer-1", "outcome": "click", **about, **free},
            {"customerId": f"{note}-customer", "outcome": "impression", "timestamp": time, "offerId": f"{note}-offer"},
        )
    caller.ask("PUT", "/customers/customer-1", json={"attributes": {"note": note}})
    said = {"purpose": f"{note}_purpose", "status": "granted"}
    caller.ask("PUT", "/customers/customer-1/consents", json={"consents": [said]})
    caller.post("/api-keys", {"name": f"{note} key"})
    caller.post("/outcome-types", {"key": f"{note}_type", "name": note, "classification": "positive"})
    caller.read("/interaction-history")


def known_values(other: Caller) -> Mapping[str, Sequence[str]]:
    """Return values an attacker may know, by the kind of parameter they fit."""
    history = other.read("/interaction-history", params={"limit": 1})
    summaries = other.read("/interaction-summaries", params={"customerId": "customer-1", "limit": 1})
    key = next(key for key in other.get("/api-keys").json()["data"] if THEIRS in key["name"])
    return {
        "cursor": [history["pagination"]["nextCursor"], summaries["nextCursor"]],
        "id": ["other-1", "thing-1", key["id"], history["data"][0]["id"]],
        "customer": ["customer-1"],
        "tenant": [other.tenant_id],
    }


def values_for(name: str, schema: Mapping[str, Any], known: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Values for a parameter; none where it can name nothing that belongs to anybody."""
    types = json.dumps(schema)
    if '"integer"' in types or '"number"' in types or '"boolean"' in types or '"enum"' in types:
        return []
    kinds = [kind for kind in known if kind in name.lower()]
    return known[kinds[0]] if kinds else []


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods and path.startswith("/api/v1/"):
                yield method.upper(), path, methods[method]


def body_for(operation: Mapping[str, Any], document: Mapping[str, Any], known: Mapping[str, Sequence[str]]) -> Any:
    """A body whose every text field names something of the other tenant; None where there is no body."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schema = content["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("type") == "array":
        return [{"customerId": "customer-1", "outcome": "click", "idempotencyKey": "mine", "offerId": "thing-1"}]
    fields: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    named = {name: values[0] for name, field in fields.items() if (values := values_for(name, field, known))}
    texts = {name: "theirs" for name in schema.get("required", ()) if name not in named}
    return {**texts, **named, **({"outcome": "click"} if "outcome" in fields else {})}


def attempts(caller: Caller, other: Caller, document: Mapping[str, Any]) -> Iterator[tuple[str, httpx.Response]]:
    """Every route, with nothing, with each parameter alone, and with all of them at once."""
    known = known_values(other)
    for method, path, operation in operations(document):
        free = {
            parameter["name"]: values
            for parameter in operation.get("parameters", [])
            if parameter["in"] == "query" and (values := values_for(parameter["name"], parameter["schema"], known))
        }
        together = {name: values[0] for name, values in free.items()}
        queries: list[dict[str, str]] = [{}, together] if together else [{}]
        queries += [{name: value} for name, values in free.items() for value in values[1:] or values]
        queries += [{"customerId": "customer-1", "cursor": cursor} for cursor in free.get("cursor", ())]
        body = body_for(operation, document, known)
        sent = {"json": body} if body is not None else {}
        for value in ("other-1", "thing-1") if "{" in path else ("",):
            filled = re.sub(r"\{customer_?id\}", "customer-1", path, flags=re.IGNORECASE)
            filled = re.sub(r"\{\w+\}", value, filled)
            for query in queries:
                yield f"{method} {filled} {query}", caller.ask(method, filled[7:], params=query, **sent)


@pytest.fixture
def tenants(new_caller: CallerFactory) -> tuple[Caller, Caller]:
    mine, theirs = new_caller(requests_per_minute=1_000_000), new_caller()
    happen(mine, "mine")
    happen(theirs, THEIRS)
    theirs.add_entities(**{kind: ("other-1", "active", {"name": f"{THEIRS} {kind}"}) for kind in KINDS})
    return mine, theirs


def read_state(caller: Caller, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read every list of a tenant, except values computed meanwhile: uses of keys, segments."""
    state = {}
    for method, path, _ in operations(document):
        if method == "GET" and "{" not in path:
            answer = caller.get(path[7:], params={"customerId": "customer-1", "offerId": "thing-1"})
            body = answer.json() if answer.status_code == 200 else answer.status_code
            state[path] = re.sub(r'"(\w+At|customerCount)": [^,}]+', "", json.dumps(body, sort_keys=True))
    return state


def test_whatever_a_tenant_sends_it_reads_and_changes_nothing_of_another(tenants: tuple[Caller, Caller]):
    mine, theirs = tenants
    document = mine.client.get("/docs/openapi.json").json()
    before = read_state(theirs, document)
    leaks, failures = [], []
    for what, answer in attempts(mine, theirs, document):
        if THEIRS in answer.text or theirs.tenant_id in answer.text:
            leaks.append((what, answer.text[:500]))
        if answer.status_code >= 500:
            failures.append((what, answer.status_code))
    assert leaks == []
    assert failures == []
    assert read_state(theirs, document) == before


def test_naming_another_tenant_opens_no_route(tenants: tuple[Caller, Caller]):
    mine, theirs = tenants
    document = mine.client.get("/docs/openapi.json").json()
    for method, path, _ in operations(document):
        for headers in ({"X-Tenant-Id": theirs.tenant_id}, {"X-Tenant-Id": theirs.tenant_id, "X-API-Key": ""}):
            answer = mine.ask(method, path[7:].replace("{", "").replace("}", ""), headers=headers)
            assert answer.status_code == (401 if "X-API-Key" in headers else 403), (method, path)
            assert THEIRS not in answer.text


def test_every_route_of_the_api_asks_for_a_key_and_for_a_role(tenants: tuple[Caller, Caller]):
    mine, _ = tenants
    document = mine.client.get("/docs/openapi.json").json()
    for method, path, operation in operations(document):
        filled = path.replace("{", "").replace("}", "")
        assert mine.client.request(method, filled).status_code == 401, (method, path)
        if method in {"PUT", "PATCH", "DELETE"}:
            answer = mine.ask(method, filled[7:], role=Role.VIEWER, json={})
            assert answer.status_code == 403, (method, path, operation["summary"])
