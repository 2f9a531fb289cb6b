from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.api_keys import Role
from tests.api.decision_catalogue import api_with_clock, cap, offer, offers_of, recommend, stock
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    import httpx

    from tests.faults.world import World
    from tests.fixtures.api import Caller, CallerFactory

SCHEMA = {
    "id": "people",
    "name": "People",
    "fields": [
        {"name": "tier", "dataType": "varchar", "isNullable": False, "length": 10},
        {"name": "age", "dataType": "integer"},
        {"name": "vip", "dataType": "boolean", "defaultValue": False},
        {"name": "born", "dataType": "date"},
        {"name": "seen", "dataType": "timestamp"},
    ],
    "additionalAttributes": False,
}


def put(caller: Caller, customer_id: str = "ann", **attributes: Any) -> httpx.Response:
    return caller.ask("PUT", f"/customers/{customer_id}", json={"attributes": attributes})


def patch(caller: Caller, customer_id: str = "ann", **attributes: Any) -> httpx.Response:
    return caller.ask("PATCH", f"/customers/{customer_id}", json={"attributes": attributes})


def read_attributes(caller: Caller, customer_id: str = "ann") -> dict[str, Any]:
    found: dict[str, Any] = caller.read(f"/customers/{customer_id}")["attributes"]
    return found


def upload(caller: Caller, text: str, media_type: str, query: str = "") -> httpx.Response:
    return caller.post(f"/customers{query}", content=text.encode(), headers={"Content-Type": media_type})


def faults_of(answer: httpx.Response) -> set[tuple[int | None, str]]:
    return {(fault.get("index"), fault["field"]) for fault in answer.json()["details"]}


@pytest.fixture
def schemed(caller: Caller) -> Caller:
    """A tenant whose customers have a schema."""
    made = caller.post("/schemas", SCHEMA)
    assert made.status_code == 201, made.text
    return caller


def test_a_customer_is_made_replaced_changed_and_ended(caller: Caller):
    made = put(caller, tier="gold", visits=1)
    assert made.status_code == 201
    assert made.headers["etag"] == '"1"'
    assert made.json() == caller.read("/customers/ann")
    assert put(caller, tier="gold").status_code == 200
    assert patch(caller, age=33, tier=None).json()["attributes"] == {"age": 33}
    assert patch(caller, age=33).json()["version"] == 3  # nothing new
    assert caller.ask("DELETE", "/customers/ann").status_code == 204
    for method in ("GET", "DELETE", "PATCH"):
        options = {"json": {}} if method == "PATCH" else {}
        assert caller.ask(method, "/customers/ann", **options).status_code == 404
    again = put(caller)
    assert (again.status_code, again.json()["version"]) == (201, 5)
    listed = caller.read("/customers/ann/versions?limit=3")
    assert [(one["version"], one["attributes"], one["isDeleted"]) for one in listed["data"]] == [
        (5, {}, False),
        (4, {}, True),
        (3, {"age": 33}, False),
    ]
    rest = caller.read(f"/customers/ann/versions?cursor={listed['pagination']['nextCursor']}")
    assert [one["attributes"] for one in rest["data"]] == [{"tier": "gold"}, {"tier": "gold", "visits": 1}]
    assert rest["pagination"] == {"total": 5, "limit": 50, "hasMore": False, "nextCursor": None, "cursor": None}
    assert caller.get("/customers/bob/versions").status_code == 404


def test_members_beside_the_attributes_are_attributes(caller: Caller):
    assert caller.ask("PUT", "/customers/ann", json={"tier": "gold"}).json()["attributes"] == {"tier": "gold"}


def test_who_names_the_version_does_not_cover_what_came_meanwhile(caller: Caller):
    put(caller, n=1)
    stale = {"json": {"n": 3, "version": 1}}
    assert caller.ask("PATCH", "/customers/ann", json={"n": 2, "version": 1}).status_code == 200
    refused = caller.ask("PATCH", "/customers/ann", **stale)
    assert (refused.status_code, refused.headers["etag"]) == (409, '"2"')
    assert caller.ask("PUT", "/customers/ann", **stale).status_code == 409
    assert caller.ask("DELETE", "/customers/ann", headers={"If-Match": '"1"'}).status_code == 409
    assert caller.ask("PUT", "/customers/bob", json={"version": 1}).status_code == 409
    assert caller.ask("PUT", "/customers/bob", json={"version": 0}).status_code == 201
    assert caller.ask("PUT", "/customers/bob", json={"version": 0, "n": 1}).status_code == 409
    assert read_attributes(caller) == {"n": 2}


def test_changes_at_the_same_time_without_a_version_all_count(caller: Caller):
    put(caller)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: patch(caller, **{f"a{n}": n}).status_code, range(8)))
    assert set(answers) == {200}
    assert read_attributes(caller) == {f"a{n}": n for n in range(8)}


def test_values_are_kept_in_the_form_of_their_types_with_defaults(schemed: Caller):
    made = put(schemed, tier="gold", age=33.5, born="2000-02-29", seen="2026-03-15T15:30:00+01:00")
    assert made.json()["attributes"] == {
        "tier": "gold",
        "age": 33.5,
        "born": "2000-02-29",
        "seen": "2026-03-15T14:30:00.000Z",
        "vip": False,
    }


def test_all_faults_of_a_customer_are_named_at_once(schemed: Caller):
    wrong = {"age": "33", "vip": "yes", "born": "2001-02-29", "seen": "now", "shoe": 43}
    refused = put(schemed, **wrong)
    assert refused.status_code == 400
    assert faults_of(refused) == {(None, name) for name in ("tier", *wrong)}
    assert faults_of(put(schemed, tier="platinum-plus")) == {(None, "tier")}
    put(schemed, tier="gold", age=1)
    assert faults_of(patch(schemed, tier=None, age=True)) == {(None, "tier"), (None, "age")}
    assert read_attributes(schemed)["tier"] == "gold"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"fields": [{"name": "a"}, {"name": "a"}]}, "fields[1].name"),
        ({"fields": [{"name": "customerId"}]}, "fields[0].name"),
        ({"fields": [{"name": "tier"}]}, "fields[0].name"),
        ({"fields": [{"name": "n", "dataType": "number", "defaultValue": "x"}]}, "fields[0].defaultValue"),
        ({"fields": [{"name": "n", "dataType": "number", "maxLength": 3}]}, "fields[0].maxLength"),
        ({"fields": [{"name": "n", "dataType": "blob"}]}, "fields"),
    ],
)
def test_a_schema_that_cannot_work_is_refused(schemed: Caller, changes: dict[str, Any], field: str):
    refused = schemed.post("/schemas", {"name": "Other", **changes})
    assert refused.status_code == 400
    assert faults_of(refused) == {(None, field)}


def test_many_are_stored_whether_as_lines_as_an_array_or_as_a_table(schemed: Caller):
    lines = '{"customerId": "a", "tier": "gold"}\n\n{"customer_id": "b", "attributes": {"tier": "blue", "vip": true}}\n'
    done = upload(schemed, lines, "application/x-ndjson")
    assert (done.status_code, done.json()) == (
        200,
        {"received": 2, "created": 2, "changed": 0, "unchanged": 0, "rejected": 0, "errors": []},
    )
    array = [{"customerId": "a", "age": 1}, {"customerId": "c", "tier": "red"}, {"customerId": "a", "age": 2}]
    assert upload(schemed, json.dumps(array), "application/json").json()["changed"] == 1
    table = "customer_id,tier,age,vip\nb,,44,no\nd,pink,,1\n"
    assert upload(schemed, table, "text/csv; charset=utf-8").status_code == 200
    assert read_attributes(schemed, "a") == {"tier": "gold", "age": 2, "vip": False}
    assert read_attributes(schemed, "b") == {"tier": "blue", "age": 44, "vip": False}
    assert read_attributes(schemed, "d") == {"tier": "pink", "vip": True}
    again = upload(schemed, table, "text/csv").json()
    assert (again["created"], again["changed"], again["unchanged"]) == (0, 0, 2)
    assert schemed.read("/customers/a")["version"] == 2
    replaced = upload(schemed, '{"customerId": "a", "tier": "old"}', "application/x-ndjson", "?mode=replace")
    assert replaced.json()["changed"] == 1
    assert read_attributes(schemed, "a") == {"tier": "old", "vip": False}


def test_what_is_wrong_is_named_by_its_place_and_the_rest_is_stored(schemed: Caller):
    lines = [
        b'{"customerId": "a", "tier": "gold"}',
        b"nonsense",
        b'{"tier": "gold"}',
        b'{"customerId": "b", "tier": 1, "age": "x"}',
        b'{"customerId": "a", "age": "x"}',
        b'{"customerId": "c", "attributes": {"tier": "x"}, "age": 1}',
        b'{"customerId": "' + b"x" * 257 + b'"}',
        b'{"customerId": "d\xff"}',
    ]
    wrong = {(1, "body"), (2, "customerId"), (3, "tier"), (3, "age"), (4, "age"), (5, "attributes")}
    wrong |= {(6, "customerId"), (7, "body")}
    content = b"\n".join(lines)
    ndjson = {"Content-Type": "application/x-ndjson"}
    done = schemed.post("/customers", content=content, headers=ndjson)
    assert done.status_code == 207
    body = done.json()
    assert (body["received"], body["created"], body["rejected"]) == (8, 1, 7)
    assert {(fault["index"], fault["field"]) for fault in body["errors"]} == wrong
    assert schemed.post("/customers?atomic=true", content=content, headers=ndjson).status_code == 400
    half = b"\n".join([*lines[3:5], b'{"customerId": "e", "tier": "x"}'])
    refused = schemed.post("/customers?atomic=true", content=half, headers=ndjson)
    assert faults_of(refused) == {(0, "tier"), (0, "age"), (1, "age")}
    assert schemed.get("/customers/e").status_code == 404


def test_an_unclosed_quote_costs_its_row_and_no_other(schemed: Caller):
    table = 'customerId,tier\na,gold\nb,"blue\n' + "".join(f"c{number},red\n" for number in range(200))
    done = upload(schemed, table, "text/csv").json()
    assert (done["received"], done["created"], done["rejected"]) == (202, 201, 1)
    (fault,) = done["errors"]
    assert fault["index"] == 1
    assert fault["message"].startswith("line 3: Column 2 begins with a quote that is not closed")


@pytest.mark.parametrize(
    ("text", "media_type", "status"),
    [
        ("", "text/csv", 400),
        ("a,b\n1,2\n", "text/csv", 400),
        ("customerId,a,a\n1,2,3\n", "text/csv", 400),
        ("customerId,a\n1,2,3\n", "text/csv", 400),
        ('customerId,a\n"1"x,2\n', "text/csv", 400),
        ("customerId\n" + "x\n" * 10_001, "text/csv", 413),
        ("[1]", "application/json", 400),
        ("[", "application/json", 400),
        ("", "application/json", 400),
        ("<a/>", "application/xml", 415),
        ("x" * 11_000_000, "application/x-ndjson", 413),
    ],
)
def test_a_body_that_holds_no_customers_is_refused(caller: Caller, text: str, media_type: str, status: int):
    assert upload(caller, text, media_type).status_code == status
    assert upload(caller, "[]", "application/json", "?mode=x").status_code == 400


def test_rows_of_a_schema_are_added_listed_and_counted(schemed: Caller):
    put(schemed, "old", tier="gold")
    rows = [{"customer_id": "a", "tier": "gold", "age": 20}, {"customer_id": "old", "tier": "blue"}]
    rows += [{"customer_id": "b", "tier": "blue", "age": 40}, {"customer_id": "c", "tier": "gold"}]
    done = schemed.post("/schemas/people/data", {"rows": rows})
    assert (done.status_code, done.json()) == (201, {"inserted": 3, "skipped": 1, "tableName": "customers"})
    assert read_attributes(schemed, "old")["tier"] == "gold"
    page = schemed.read("/schemas/people/data?limit=2&offset=1")
    assert (page["total"], [row["customer_id"] for row in page["rows"]]) == (4, ["b", "c"])
    assert page["rows"][0] == {"customer_id": "b", "tier": "blue", "age": 40, "vip": False}
    stats = {one["name"]: one for one in schemed.read("/schemas/people/stats")["fields"]}
    assert stats["age"] == {
        "name": "age",
        "type": "number",
        "count": 2,
        "min": 20,
        "max": 40,
        "avg": 30.0,
        "distinctCount": 2,
        "topValues": [{"value": 20, "count": 1}, {"value": 40, "count": 1}],
    }
    assert (stats["tier"]["min"], stats["tier"]["max"], stats["tier"]["avg"]) == ("blue", "gold", None)
    assert stats["tier"]["topValues"] == [{"value": "gold", "count": 3}, {"value": "blue", "count": 1}]
    assert (stats["born"]["count"], stats["born"]["min"]) == (0, None)
    assert schemed.post("/schemas/people/data", {"rows": []}).status_code == 400
    wrong = schemed.post("/schemas/people/data", {"rows": [{"customer_id": "x", "shoe": 1}, {"tier": "gold"}]})
    assert faults_of(wrong) == {(0, "shoe"), (1, "customerId")}
    for path in ("data", "stats"):
        assert schemed.get(f"/schemas/nothing/{path}").status_code == 404


def test_a_request_cannot_send_the_attributes_that_decide(caller: Caller):
    """Unless the schema says so; what was sent in vain is said, here and in the trace, and a replay is the same."""
    creative = {"content": {"headline": "{first_name}, take it"}}
    rule = {"name": "Gold", "ruleType": "attribute_condition"}
    rule |= {"config": {"attribute": "customer.tier", "operator": "eq", "value": "gold"}}
    stock(caller, *offer("loan", creative=creative))
    assert caller.post("/qualification-rules", rule).status_code == 201
    put(caller, "ann", tier="gold", first_name="Ann")
    put(caller, "bob", tier="blue")
    assert offers_of(recommend(caller, "bob")) == []
    shown = recommend(caller, "ann", attributes={"tier": "gold"})
    assert (offers_of(shown), shown["meta"]["warnings"]) == (["loan"], [])
    assert shown["decisions"][0]["content"]["headline"] == "Ann, take it"
    assert offers_of(recommend(caller, "ann", attributes={"tier": "blue"})) == ["loan"]
    sent = {"attributes": {"tier": "gold", "first_name": "Bob"}}
    for customer in ("bob", "cleo"):
        refused = recommend(caller, customer, **sent)
        tried = caller.post("/simulate", {"customerId": customer, **sent}).json()
        assert offers_of(refused) == offers_of(tried) == []
        assert "the request's attribute tier is not taken for customer.tier" in refused["meta"]["warnings"][0]
        assert refused["meta"]["warnings"] == tried["meta"]["warnings"]
        assert caller.read(f"/customers/{customer}/why-not/loan")["verdict"] == "blocked"
    caller.read("/decision-traces")
    trace = caller.get(f"/decision-traces/{refused['recommendationId']}").json()
    assert trace["problems"] == refused["meta"]["warnings"]
    assert caller.post(f"/decisions/{refused['recommendationId']}/replay", {}).json()["identical"]


@pytest.mark.parametrize(("source", "shown"), [("stored", []), ("request", ["loan"]), ("either", ["loan"])])
def test_a_schema_says_whose_word_counts(caller: Caller, source: str, shown: list[str]):
    field = {"name": "tier", "source": source}
    schema = {"name": "people", "displayName": "People", "fields": [field]}
    assert caller.post("/schemas", schema).status_code == 201
    rule = {"name": "Gold", "ruleType": "attribute_condition", "config": {"attribute": "tier", "value": "gold"}}
    assert caller.post("/qualification-rules", rule).status_code == 201
    stock(caller, *offer("loan"))
    put(caller, "ann", tier="blue")
    assert offers_of(recommend(caller, "ann", attributes={"tier": "gold"})) == shown
    put(caller, "bob", tier="gold")
    assert offers_of(recommend(caller, "bob")) == ([] if source == "request" else ["loan"])


def test_caps_by_the_customers_clock_know_the_time_zone_that_is_kept(api_world: World, caller: Caller):
    stock(caller, *offer("loan"), cap(1, config={"timeZone": "customer"}))
    put(caller, "ann", timeZone="Asia/Tokyo")
    assert put(caller, "bob", timeZone="Nowhere").json()["details"][0]["field"] == "timeZone"
    assert put(caller, "eve", timeZone="UTC+9").status_code == 201
    assert read_attributes(caller, "eve") == {"timeZone": "Etc/GMT-9"}
    seen = {"outcome": "impression", "offerId": "loan", "timestamp": "2026-03-01T20:00:00Z"}
    caller.record(*({"customerId": name, **seen} for name in ("ann", "bob", "cid", "dot", "eve")))
    caller.read("/interaction-history")
    with api_with_clock(api_world) as (client, clock):
        here = caller.at(client)
        clock.at_ms = 1_772_413_200_000  # one o'clock on 2 March in UTC, where another day has begun; ten in Tokyo
        wait_until(lambda: offers_of(recommend(here, "bob")) == ["loan"], "the catalogue is known")
        assert offers_of(recommend(here, "ann")) == []
        assert offers_of(recommend(here, "eve")) == []
        assert offers_of(recommend(here, "ann", attributes={"timeZone": "UTC"})) == ["loan"]
        assert offers_of(recommend(here, "cid", attributes={"timeZone": "tokyo standard TIME"})) == []
        unknown = recommend(here, "dot", attributes={"timeZone": "CST"})
        assert offers_of(unknown) == ["loan"]
        assert "the customer's time zone 'CST' is not known: the tenant's counts" in unknown["meta"]["warnings"]


def test_tenants_have_their_own_customers_and_editors_write_them(new_caller: CallerFactory):
    ours, theirs = new_caller(), new_caller()
    put(ours, tier="gold")
    assert theirs.get("/customers/ann").status_code == 404
    assert put(theirs, tier="blue").status_code == 201
    assert read_attributes(ours) == {"tier": "gold"}
    assert ours.get("/customers/ann", role=Role.VIEWER).status_code == 200
    for method in ("PUT", "PATCH"):
        assert ours.ask(method, "/customers/ann", json={}, role=Role.VIEWER).status_code == 403
    assert ours.ask("DELETE", "/customers/ann", role=Role.VIEWER).status_code == 403
    assert ours.post("/customers", [{"customerId": "x"}], role=Role.VIEWER).status_code == 403
    assert ours.post("/customers", [{"customerId": "x"}], role=Role.EDITOR).status_code == 200
