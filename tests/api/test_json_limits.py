"""Values that cannot be stored, compared or shown are refused by every write, with the field; others are shown."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import pytest

from rapport.domain.json_limits import MAX_DEPTH

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
EVENT: Final = '{"customerId": "ann", "outcome": "click", "idempotencyKey": "k", "metadata": {"n": %s}}'
CUSTOMER: Final = '{"customerId": "ann", "tier": "gold", "score": {"n": %s}}'
WAYS: Final = {
    "respond": ("POST", "/respond", JSON, EVENT),
    "an array of events": ("POST", "/interactions", JSON, f"[{EVENT}]"),
    "lines of events": ("POST", "/interactions", NDJSON, EVENT),
    "context": ("POST", "/recommend", JSON, '{"customerId": "ann", "context": {"n": %s}}'),
    "attributes": ("POST", "/recommend", JSON, '{"customerId": "ann", "attributes": {"n": %s}}'),
    "a customer": ("PUT", "/customers/ann", JSON, '{"attributes": {"n": %s}}'),
    "a change of one": ("PATCH", "/customers/ann", "application/merge-patch+json", '{"n": %s}'),
    "an array of customers": ("POST", "/customers", JSON, f"[{CUSTOMER}]"),
    "lines of customers": ("POST", "/customers", NDJSON, CUSTOMER),
    "an offer": ("POST", "/offers", JSON, '{"name": "Card", "description": {"n": %s}}'),
    "a flow": ("POST", "/decision-flows", JSON, '{"name": "Flow", "draft": [{"n": %s}]}'),
}
WRONG: Final = {
    "infinite": ("1e999", "cannot hold 1e999"),
    "beyond 64 bits": ("18446744073709551616", "cannot hold 18446744073709551616"),
    "of 5,000 digits": ("9" * 5_000, "(5,000 characters)"),
    "nested": ('{"a":' * 480 + "1" + "}" * 480, f"deeper than {MAX_DEPTH} levels"),
    "nested beyond any stack": ("[" * 20_000 + "]" * 20_000, f"deeper than {MAX_DEPTH} levels"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_kept_is_refused_with_its_field(caller: Caller, way: str):
    method, path, media_type, template = WAYS[way]
    for wrong, (value, said) in WRONG.items():
        answer = caller.ask(method, path, content=template % value, headers={"Content-Type": media_type})
        assert answer.status_code == 400, (wrong, answer.text)
        (fault,) = answer.json()["details"]
        assert said in fault["message"], wrong
        if "nested" not in wrong:
            assert f"{fault['field']} {fault['message']}".split(" cannot hold")[0].endswith("n"), fault


def nested(value: object, levels: int) -> object:
    for _ in range(levels):
        value = {"a": value}
    return value


def test_what_is_accepted_is_shown_as_it_came(caller: Caller):
    value = nested([2**64 - 1, -(2**63), 1.7e308, "\U0001f600"], MAX_DEPTH - 3)
    event = {"customerId": "ann", "outcome": "click", "idempotencyKey": uuid.uuid4().hex, "unknown": value}
    assert caller.post("/interactions", [event]).status_code == 201
    (row,) = caller.read("/interaction-history?customerId=ann")["data"]
    assert row["response"] == {"unknown": value}
    attributes = {"a": nested([2**53 - 1, 1 - 2**53, 1.7e-308, "\U0001f600"], MAX_DEPTH - 3)}
    assert caller.ask("PUT", "/customers/ann", json={"attributes": attributes}).status_code == 201
    assert caller.get("/customers/ann").json()["attributes"] == attributes


def test_a_list_of_the_catalogue_is_read_whatever_one_entity_of_it_is(caller: Caller):
    caller.add_entities(offer=("good", "active", {"name": "Good"}))
    caller.add_entities(offer=("bad", "active", {"name": "Bad", "customFields": nested("x", 480)}))
    listed = caller.get("/offers")
    assert listed.status_code == 200
    assert [one["id"] for one in listed.json()["data"]] == ["good"]
    assert caller.get("/audit-logs").status_code == 200
