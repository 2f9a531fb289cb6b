"""Numbers that no double holds: refused at every door, and harmless where they are stored already."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from rapport.domain.catalogue.strategy import QualificationRule
from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.profiles.segments import Segment, SegmentFilter
from rapport.storage.catalogue_changes import Author
from rapport.storage.customers import change_customers
from tests.api.decision_catalogue import offer, offers_of, recommend, stock

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

BIG: Final = 10**400
OVER: Final = 2**53
FINE: Final = {"field": "customer.age", "operator": "gt", "value": 1}
LISTED: Final = {**FINE, "operator": "in"}
RULE: Final = {"id": "r", "name": "R", "ruleType": "attribute_condition"}
POLICY: Final = {"id": "p", "name": "P", "ruleType": "allow_override"}


def ruled(number: Any) -> dict[str, Any]:
    return {**RULE, "config": {"attribute": "age", "operator": "gt", "value": number}}


@pytest.mark.parametrize("number", [OVER, -OVER, BIG, 1e300])
@pytest.mark.parametrize(
    ("path", "field", "body"),
    [
        ("/segments", "filters[1].value", lambda n: {"name": "S", "filters": [FINE, {**FINE, "value": n}]}),
        ("/segments", "filters[0].value[1]", lambda n: {"name": "S", "filters": [{**LISTED, "value": [1, n]}]}),
        ("/qualification-rules", "config.value", ruled),
        (
            "/contact-policies",
            "config.conditions[0].value",
            lambda n: {**POLICY, "config": {"conditions": [{**FINE, "value": n}]}},
        ),
        ("/recommend", "attributes.deep[0].n", lambda n: {"customerId": "ann", "attributes": {"deep": [{"n": n}]}}),
    ],
)
def test_a_number_that_is_not_exact_is_refused_by_the_name_of_its_field(
    caller: Caller, path: str, field: str, body: Any, number: float
):
    answer = caller.post(path, body(number))
    assert answer.status_code == 400, answer.text
    assert [fault["field"] for fault in answer.json()["details"]] == [field]


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5_000, "1e999", "9007199254740992"])
def test_of_a_load_the_line_with_such_a_number_is_reported_and_the_others_are_stored(caller: Caller, number: str):
    lines = [f'{{"customerId": "{name}", "age": {age}}}' for name, age in (("ann", "1"), ("bob", number), ("cid", "3"))]
    answer = caller.ask(
        "POST",
        "/customers",
        content="\n".join(lines),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code in (200, 207), answer.text
    assert [fault["index"] for fault in answer.json()["errors"]] == [1]
    assert caller.get("/customers/ann").json()["attributes"] == {"age": 1}
    assert caller.get("/customers/bob").status_code == 404
    assert caller.get("/customers/cid").json()["attributes"] == {"age": 3}


def test_such_numbers_that_are_stored_already_break_nothing(caller: Caller):
    whoever = {"ann": {"age": BIG, "tier": "gold"}, "bob": {"age": 40, "tier": "gold"}}
    change_customers(caller.store, caller.tenant_id, Author("tests"), whoever, lambda _: whoever)
    rule = QualificationRule(
        id="adult",
        name="Adult",
        rule_type="attribute_condition",
        scope=ScopeKind.OFFER,
        scope_id="loan",
        config={"attribute": "age", "operator": "gte", "value": 18},
    )
    broken = QualificationRule(
        id="broken",
        name="Broken",
        rule_type="attribute_condition",
        scope=ScopeKind.OFFER,
        scope_id="card",
        config={"attribute": "age", "operator": "lt", "value": BIG},
    )
    segment = Segment(id="s", name="S", filters=[SegmentFilter(field="customer.age", operator="lt", value=BIG)])
    stock(caller, *offer("loan"), *offer("card"), *offer("plain"), rule, broken, segment)
    assert sorted(offers_of(recommend(caller, "bob", limit=5, channel="web"))) == ["loan", "plain"]
    assert sorted(offers_of(recommend(caller, "ann", limit=5, channel="web"))) == ["plain"]
    verdicts = {one["offerId"]: one for one in caller.read("/customers/ann/eligibility")["offers"]}
    assert "cannot be evaluated" in json.dumps(verdicts["card"])
    assert "wanted is gte 18" in json.dumps(caller.read("/customers/ann/why-not/loan"))
    answer = caller.post("/simulate", {"customerIds": ["ann", "bob"], "channel": "web"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["reachableCustomers"] == 2
    assert caller.post("/segments/s/refresh").json()["customerCount"] == 0
