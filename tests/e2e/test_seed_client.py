"""A client written from the product documents alone works unchanged: headers, paths, fields, rules.

It knows the API tutorial (two headers, Respond, errors), the page of the interaction history and the page of the
interaction summaries, and nothing of this API's code.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fixtures.demo import RunningDemo

HISTORY_FIELDS: Final = {
    "id",
    "tenantId",
    "customerId",
    "offerId",
    "creativeId",
    "channelId",
    "interactionType",
    "outcomeTypeKey",
    "direction",
    "timestamp",
    "context",
    "response",
    "outcome",
    "offer",
    "creative",
}
SUMMARY_FIELDS: Final = {
    "periodType",
    "periodKey",
    "customerId",
    "offerId",
    "creativeId",
    "channelId",
    "impressions",
    "positive",
    "negative",
    "neutral",
    "converts",
    "totalValue",
    "lastContactAt",
    "lastOutcomeKey",
    "direction",
}
ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
KEYS: Final = {"daily": r"\d{4}-\d\d-\d\d", "weekly": r"\d{4}-W\d\d", "monthly": r"\d{4}-\d\d", "alltime": "alltime"}


@dataclass(slots=True)
class SeedClient:
    """The tutorial's client: a base URL and two headers."""

    base_url: str
    tenant_id: str
    api_key: str
    customer: str = field(default_factory=lambda: f"cust_{uuid.uuid4().hex[:8]}")

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        headers = {"x-tenant-id": self.tenant_id, "x-api-key": self.api_key, "Content-Type": "application/json"}
        sent = {name: value for name, value in headers.items() if value}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base_url}{path}", data, sent, method=method)  # noqa: S310 - http
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - likewise
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def get(self, path: str, **query: object) -> Any:
        status, body = self.call("GET", f"{path}?{urllib.parse.urlencode(query)}")
        assert status == 200, body
        return body

    def respond(self, outcome: str, **more: object) -> Any:
        """Send the tutorial's request: five required fields, two optional ones."""
        body = {
            "customerId": self.customer,
            "creativeId": "crv_email_a",
            "channelId": "ch_email",
            "outcome": outcome,
            "idempotencyKey": f"{self.customer}-{outcome}",
            **more,
        }
        status, answer = self.call("POST", "/respond", body)
        assert status in (200, 201), answer
        return answer

    def history(self, **query: object) -> Any:
        return self.get("/interaction-history", customerId=self.customer, **query)

    def summaries(self, **query: object) -> Any:
        return self.get("/interaction-summaries", customerId=self.customer, **query)

    def wait_for(self, count: int, **query: object) -> None:
        """Poll until a response is seen, for which the documents promise no moment."""
        wait_until(lambda: self.history(**query)["pagination"]["total"] == count, f"{count} interactions", seconds=30)


@pytest.fixture
def client(demo: RunningDemo) -> SeedClient:
    return SeedClient(f"{demo.url}/api/v1", "demo", demo.key)


@pytest.fixture
def shop(demo: RunningDemo) -> SeedClient:
    """Provide a tenant with the entities that the tutorial assumes: an offer with a creative on a channel."""
    tenant = f"shop-{uuid.uuid4().hex[:8]}"
    made = demo.shell(f"rapport tenant create {tenant} > /dev/null; rapport key create {tenant} --role admin")
    client = SeedClient(f"{demo.url}/api/v1", tenant, made.stdout.strip())
    content = {"subject": "{name}, your card", "body": "Only {base_rate} %"}
    creative = {"offerId": "off_card", "channelId": "ch_email", "templateType": "email_html", "content": content}
    for kind, entity in [
        ("channels", {"id": "ch_email", "name": "Email", "channelType": "email"}),
        ("offers", {"id": "off_card", "name": "Platinum Card", "customFields": {"base_rate": 4.5}}),
        ("creatives", {"id": "cr_card", "name": "Hero", **creative}),
    ]:
        status, answer = client.call("POST", f"/{kind}", {**entity, "status": "active"})
        assert status == 201, answer
    return client


def list_messages(body: Mapping[str, Any]) -> set[str]:
    """List an error's messages, from the tutorial's envelope or the older one: parsers must accept both."""
    return {body["error"]["message"], body["detail"]}


@pytest.mark.parametrize("outcome", ["impression", "click", "conversion", "dismiss", "not_interested", "opt_out"])
def test_every_outcome_of_the_tutorial_is_recorded_and_found_in_the_history(client: SeedClient, outcome: str):
    client.respond(outcome, recommendationId=str(uuid.uuid4()), metadata={"page": "home"})
    client.wait_for(1)
    (row,) = client.history()["data"]
    assert set(row) >= HISTORY_FIELDS
    assert (row["tenantId"], row["customerId"]) == ("demo", client.customer)
    assert (row["creativeId"], row["channelId"]) == ("crv_email_a", "ch_email")
    assert row["interactionType"] == row["outcomeTypeKey"] == outcome
    assert row["direction"] == ("outbound" if outcome == "impression" else "inbound")
    assert ISO.fullmatch(row["timestamp"])
    assert row["response"] == {"page": "home"}


def test_recommend_and_respond_work_together_as_in_the_tutorial(shop: SeedClient):
    asked = {"limit": 3, "channel": "email", "attributes": {"name": "Ada"}, "debug": True}

    def recommend() -> Any:
        status, answer = shop.call("POST", "/recommend", {"customerId": shop.customer, **asked})
        assert status == 200, answer
        return answer

    wait_until(lambda: recommend()["decisions"], "the catalogue is picked up", seconds=30)
    answer = recommend()
    (decision,) = answer["decisions"]
    assert (decision["offerId"], decision["offerName"]) == ("off_card", "Platinum Card")
    assert decision["content"] == {"subject": "Ada, your card", "body": "Only 4.5 %"}
    assert decision["score"] > 0
    assert isinstance(decision["personalization"], dict)
    assert answer["meta"]["totalCandidates"] == 1
    shop.respond("conversion", creativeId="cr_card", recommendationId=answer["recommendationId"])
    shop.wait_for(1, type="conversion")
    (row,) = shop.history(type="conversion")["data"]
    assert row["offer"] == {"id": "off_card", "name": "Platinum Card", "status": "active"}
    assert row["creative"] == {"id": "cr_card", "name": "Hero", "channel": {"id": "ch_email", "name": "Email"}}


def test_the_idempotency_key_prevents_duplicate_recordings(client: SeedClient):
    for _ in range(3):
        client.respond("click")
    client.respond("dismiss")
    client.wait_for(2)
    (row,) = [row for row in client.summaries(periodType="alltime")["data"] if row["creativeId"]]
    assert (row["positive"], row["negative"]) == (1, 1)


def test_the_history_is_filtered_as_documented(client: SeedClient):
    client.respond("impression", offerId="off_abc123")
    client.respond("click", offerId="off_abc123")
    client.respond("accept", offerId="off_other", creativeId="crv_other", idempotencyKey="other")
    client.wait_for(3)
    for query, outcomes in [
        ({}, ["accept", "click", "impression"]),
        ({"offerId": "off_abc123"}, ["click", "impression"]),
        ({"actionId": "off_abc123"}, ["click", "impression"]),
        ({"creativeId": "crv_other"}, ["accept"]),
        ({"treatmentId": "crv_other"}, ["accept"]),
        ({"type": "click"}, ["click"]),
        ({"offerId": "nothing"}, []),
    ]:
        page = client.history(**query)
        assert [row["outcomeTypeKey"] for row in page["data"]] == outcomes, query
        assert page["pagination"]["total"] == len(outcomes)


def test_pages_follow_one_another_by_cursor(client: SeedClient):
    for number in range(5):
        client.respond("click", idempotencyKey=f"{client.customer}-{number}")
    client.wait_for(5)
    seen, page = [], client.history(limit=2)
    while page["pagination"]["hasMore"]:
        seen += page["data"]
        page = client.history(limit=2, cursor=page["pagination"]["nextCursor"])
    seen += page["data"]
    assert page["pagination"] == {"total": 5, "limit": 2, "hasMore": False, "nextCursor": None}
    assert len({row["id"] for row in seen}) == 5
    assert seen == sorted(seen, key=lambda row: row["timestamp"], reverse=True)


def test_summaries_are_as_documented(client: SeedClient):
    client.respond("impression", offerId="off_premium_card")
    client.respond("click", offerId="off_premium_card")
    client.respond("conversion", offerId="off_premium_card", conversionValue=99.5)
    client.respond("dismiss", offerId="off_premium_card")
    client.wait_for(4)
    read = client.summaries()
    rows = read["data"]
    assert read["total"] == len(rows)
    assert [row["periodType"] for row in rows] == sorted(row["periodType"] for row in rows)
    assert {row["periodType"] for row in rows} == set(KEYS)
    for row in rows:
        assert set(row) >= SUMMARY_FIELDS
        assert re.fullmatch(KEYS[row["periodType"]], row["periodKey"])
        counts = [row[name] for name in ("impressions", "positive", "negative", "neutral", "converts", "totalValue")]
        assert counts == [1, 2, 1, 0, 1, 99.5]
        assert (row["lastOutcomeKey"], row["direction"]) == ("dismiss", "inbound")
        assert ISO.fullmatch(row["lastContactAt"])
    assert {row["offerId"] for row in rows} == {"off_premium_card", None}, "per offer, and per channel with null"
    monthly = client.summaries(periodType="monthly", offerId="off_premium_card", channelId="ch_email", limit=1)
    assert [row["periodType"] for row in monthly["data"]] == ["monthly"]
    assert client.summaries(limit=0)["total"] == 1, "the limit is brought into 1 to 200"


def test_errors_are_understood_in_both_documented_shapes(client: SeedClient):
    status, body = client.call("GET", "/interaction-summaries")
    assert (status, list_messages(body)) == (400, {"customerId is required"})
    assert body["title"]
    status, body = client.call("POST", "/respond", {"customerId": client.customer, "outcome": "click"})
    assert (status, body["error"]["code"], body["error"]["status"]) == (400, "VALIDATION_ERROR", 400)
    status, body = client.call("GET", "/nothing")
    assert (status, body["error"]["code"]) == (404, "NOT_FOUND")
    stranger = SeedClient(client.base_url, "demo", "krn_" + "0" * 40)
    status, body = stranger.call("GET", "/interaction-history")
    assert (status, body["error"]["code"]) == (401, "UNAUTHORIZED")
    other = SeedClient(client.base_url, "5a9904b9-0000-4000-8000-000000000000", client.api_key)
    status, body = other.call("GET", "/interaction-history")
    assert (status, body["error"]["code"]) == (403, "FORBIDDEN")


def test_the_curl_line_of_the_documents_works_with_host_and_ids_replaced(demo: RunningDemo):
    line = """curl 'https://playground.kaireonai.com/api/v1/interaction-summaries?customerId=cust_42' \\
  -H "X-API-Key: krn_your_api_key" \\
  -H "X-Tenant-Id: 5a9904b9-..."
"""
    for theirs, ours in [
        ("https://playground.kaireonai.com", demo.url),
        ("cust_42", "00001"),
        ("krn_your_api_key", demo.key),
        ("5a9904b9-...", "demo"),
    ]:
        line = line.replace(theirs, ours)
    done = demo.shell(line)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["total"] == len(read["data"]) > 0
    assert set(read["data"][0]) >= SUMMARY_FIELDS


def test_the_tenant_id_alone_is_enough_for_the_demo_on_this_machine(demo: RunningDemo):
    trusted = SeedClient(f"{demo.url}/api/v1", "demo", "")
    trusted.respond("click")
    trusted.wait_for(1)
    assert trusted.summaries()["total"] > 0
    status, _ = SeedClient(f"{demo.url}/api/v1", "other", "").call("GET", "/interaction-history")
    assert status == 401
