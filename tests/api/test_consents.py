from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.api_keys import Role
from rapport.domain.catalogue.inventory import Channel
from tests.api.decision_catalogue import offer, offers_of, recommend, stock

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.api import Caller, CallerFactory

MAIL = Channel(id="mail", name="Mail", channel_type="email")


def say(caller: Caller, customer_id: str = "ann", **statuses: str) -> dict[str, Any]:
    """Record what a customer says, by purpose."""
    consents = [{"purpose": purpose, "status": status} for purpose, status in statuses.items()]
    answer = caller.ask("PUT", f"/customers/{customer_id}/consents", json={"consents": consents})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body == caller.read(f"/customers/{customer_id}/consents")
    return body


def post(caller: Caller, *rows: dict[str, Any], query: str = "") -> httpx.Response:
    return caller.post(f"/consents{query}", list(rows))


def row(customer_id: str = "ann", purpose: str = "email", status: str = "granted", **more: Any) -> dict[str, Any]:
    return {"customerId": customer_id, "purpose": purpose, "status": status, **more}


def statuses_of(body: dict[str, Any]) -> dict[str, str]:
    return {one["purpose"]: one["status"] for one in body["consents"]}


def test_without_any_knowledge_the_tenant_decides(caller: Caller, new_caller: CallerFactory):
    body = caller.read("/customers/ann/consents")
    assert (body["basedOn"], set(body["allowed"].values()), body["consents"]) == ("setting", {True}, [])
    body = new_caller(requires_consent=True).read("/customers/ann/consents")
    assert (body["basedOn"], set(body["allowed"].values())) == ("setting", {False})


def test_records_count_alone_once_there_are_any(caller: Caller, new_caller: CallerFactory):
    attributes = {"attributes": {"consent_email": False, "consent_sms": "no"}}
    caller.ask("PUT", "/customers/ann", json=attributes)
    body = caller.read("/customers/ann/consents")
    assert (body["basedOn"], body["allowed"]["email"], body["allowed"]["push"]) == ("attributes", False, True)
    body = say(caller, email="granted", phone="pending")
    assert (body["basedOn"], body["allowed"]["email"], body["allowed"]["phone"]) == ("records", True, False)
    assert body["allowed"]["sms"]
    canonical = new_caller(is_consent_record_canonical=True)
    canonical.ask("PUT", "/customers/ann", json=attributes)
    assert canonical.read("/customers/ann/consents")["allowed"]["email"]


def test_what_is_said_last_counts_and_everything_said_is_kept(caller: Caller):
    for status in ("granted", "revoked", "granted", "revoked"):
        body = say(caller, email=status, newsletter="granted")
    assert statuses_of(body) == {"email": "revoked", "newsletter": "granted"}
    (email, _) = body["consents"]
    assert email["statedAt"] == email["revokedAt"] > email["grantedAt"]
    assert "newsletter" not in body["allowed"]
    said = caller.read("/customers/ann/consents/history")["statements"]
    assert [one["status"] for one in said if one["purpose"] == "email"] == ["revoked", "granted", "revoked", "granted"]
    assert {one["source"] for one in said} == {"api"}


def test_importing_older_statements_never_undoes_newer_ones(caller: Caller):
    say(caller, email="revoked")
    rows = [
        row(statedAt="2020-01-01T00:00:00Z"),
        row(purpose="thirdParty", source="backfill", statedAt=1_600_000_000_000),
    ]
    for _ in range(2):
        assert post(caller, *rows).json() == {"recorded": 2, "rejected": 0, "errors": []}
    body = caller.read("/customers/ann/consents")
    assert statuses_of(body) == {"email": "revoked", "third_party": "granted"}
    assert body["consents"][0]["grantedAt"] == "2020-01-01T00:00:00.000Z"
    assert body["consents"][1]["source"] == "backfill"
    assert len(caller.read("/customers/ann/consents/history")["statements"]) == 3


def test_a_table_of_statements_is_imported(caller: Caller):
    text = "customer_id,purpose,status,statedAt\nann,sms,granted,\nbob,sms,revoked,2024-05-01\n"
    done = caller.post("/consents", content=text.encode(), headers={"Content-Type": "text/csv"})
    assert done.json()["recorded"] == 2
    assert statuses_of(caller.read("/customers/bob/consents")) == {"sms": "revoked"}
    assert caller.read("/customers/ann/consents")["consents"][0]["source"] == "import"


def test_what_is_wrong_is_named_by_its_place_and_the_rest_is_recorded(caller: Caller):
    soon = int(time.time() * 1000) + 3_600_000
    rows: list[Any] = [row(), row(status="yes", purpose="a b"), row(customer_id=""), row(statedAt=soon)]
    rows += [row(statedAt="once"), row(source="mail"), row(reason="x"), {"purpose": "email"}, "x"]
    done = post(caller, *rows)
    assert (done.status_code, done.json()["recorded"], done.json()["rejected"]) == (207, 1, 8)
    named = {(fault["index"], fault["field"]) for fault in done.json()["errors"]}
    wrong = [(1, "status"), (1, "purpose"), (2, "customerId"), (3, "statedAt"), (4, "statedAt"), (5, "source")]
    assert named == {*wrong, (6, "reason"), (7, "customerId"), (7, "status"), (8, "body")}
    assert post(caller, row(customer_id="bob"), "x", query="?atomic=true").status_code == 400  # type: ignore[arg-type]
    assert caller.read("/customers/bob/consents")["consents"] == []
    body = {"consents": [{"purpose": "email", "status": "granted", "statedAt": soon}, {"status": "granted"}]}
    assert caller.ask("PUT", "/customers/ann/consents", json=body).status_code == 400
    assert caller.ask("PUT", "/customers/ann/consents", json={"consents": []}).status_code == 400


@pytest.mark.parametrize("role", [Role.VIEWER])
def test_viewers_read_and_other_tenants_do_not(caller: Caller, new_caller: CallerFactory, role: Role):
    say(caller, email="revoked")
    assert caller.get("/customers/ann/consents", role=role).status_code == 200
    assert caller.ask("PUT", "/customers/ann/consents", json={"consents": []}, role=role).status_code == 403
    assert caller.post("/consents", [row()], role=role).status_code == 403
    assert new_caller().read("/customers/ann/consents")["consents"] == []


def test_nothing_is_recommended_that_the_customer_has_not_consented_to(caller: Caller):
    stock(caller, MAIL, *offer("loan"), *offer("card", channel="mail"))
    assert offers_of(recommend(caller)) == ["card", "loan"]
    say(caller, email="revoked")
    shown = recommend(caller, debug=True)
    assert offers_of(shown) == ["loan"]
    assert [(one["by"], one["detail"]) for one in shown["traceSummary"]["removals"]] == [
        ("consent", {"purpose": "email"})
    ]
    say(caller, marketing="pending")
    assert offers_of(recommend(caller)) == []
    say(caller, marketing="granted", email="granted")
    assert offers_of(recommend(caller)) == ["card", "loan"]
    assert offers_of(recommend(caller, "bob", attributes={"consent_marketing": False})) == []


@pytest.mark.parametrize("said", ["unsubscribed", "Opted-Out", "", 2])
def test_a_word_that_is_no_yes_keeps_offers_back_wherever_it_was_said(caller: Caller, said: Any):
    stock(caller, MAIL, *offer("loan", "mail"))
    assert caller.ask("PUT", "/customers/ann", json={"attributes": {"consent_email": said}}).status_code < 300
    assert offers_of(recommend(caller)) == []
    assert offers_of(recommend(caller, "bob", attributes={"consent_email": said})) == []
    assert offers_of(recommend(caller, "bob", attributes={"consent_email": "Yes"})) == ["loan"]


def test_a_tenant_that_requires_consent_offers_nothing_without_it(new_caller: CallerFactory):
    strict = new_caller(requires_consent=True)
    stock(strict, *offer("loan"))
    assert offers_of(recommend(strict)) == []
    strict.ask("PUT", "/customers/ann", json={"consent_marketing": True})
    assert offers_of(recommend(strict)) == ["loan"]
    say(strict, email="granted")
    assert offers_of(recommend(strict)) == []
    say(strict, marketing="granted")
    assert offers_of(recommend(strict)) == ["loan"]
