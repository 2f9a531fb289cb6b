"""Unified profiles: what sections hold, that only those asked for are loaded, and that none can harm the others."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from api.http.times import iso, parse_time
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.strategy import Experiment, MetricDefinition, Model
from rapport.domain.journeys.enrolment import Enrolment, EnrolmentStatus
from rapport.domain.periods import DAY_MS
from rapport.domain.profiles.consent import ConsentSource, ConsentStatement, ConsentStatus
from rapport.storage.catalogue_changes import Author
from rapport.storage.consents import CustomerStatement, record_consents
from rapport.storage.customers import change_customers
from rapport.storage.journeys import TenantEnrolment, append_enrolments
from tests.api.decision_catalogue import offer, recommend, stock
from tests.fixtures.api import running_api

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.world import World
    from tests.fixtures.api import Caller, CallerFactory

LEGACY: Final = ["identities", "interactions", "segments", "journeys", "experiments", "consent"]
NOW_MS: Final = time.time_ns() // 1_000_000
AUTHOR: Final = Author("tests")
ABOUT_CUSTOMERS: Final = {
    "clv",
    "consents",
    "customers",
    "experiments",
    "history",
    "identity",
    "journeys",
    "metrics",
    "profiles",
    "segments",
    "suppressions",
}
"""Where the queries of sections are."""


def event(days_ago: float = 1, outcome: str = "impression", **fields: Any) -> dict[str, Any]:
    at_ms = NOW_MS - round(days_ago * DAY_MS)
    return {
        "customerId": "ann",
        "outcome": outcome,
        "offerId": "loan",
        "channelId": "web",
        "timestamp": iso(at_ms),
    } | fields


def profile(caller: Caller, customer: str = "ann", **parameters: str) -> dict[str, Any]:
    body: dict[str, Any] = caller.read(f"/customers/{customer}/unified-profile", params=parameters, role=Role.VIEWER)
    return body


def sections(caller: Caller, wanted: str, customer: str = "ann") -> dict[str, Any]:
    found = profile(caller, customer, sections=wanted)["sections"]
    assert [one["name"] for one in found] == [name for name in LEGACY if name in wanted.split(",")]
    assert not any("error" in one for one in found)
    return {one["name"]: one["data"] for one in found}


def queries(caller: Caller, action: Callable[[], Any]) -> set[str]:
    """The names of the queries about customers that ran meanwhile."""

    def counts() -> dict[str, float]:
        lines = caller.client.get("/metrics").text.splitlines()
        found = (line.split(" ") for line in lines if line.startswith("rapport_query_seconds_count"))
        return {name.partition('query="')[2].partition('"')[0]: float(count) for name, count in found}

    before = counts()
    action()
    ran = {name for name, count in counts().items() if count > before.get(name, 0)}
    of_timers = {"segments/due_tenants", "identity/merges", "identity/stamp"}
    return {name for name in ran if name.partition("/")[0] in ABOUT_CUSTOMERS} - of_timers


def test_a_profile_has_the_documented_sections(caller: Caller):
    caller.record(event())
    body = profile(caller)
    computed_at_ms = parse_time(body.pop("computedAt"))
    assert computed_at_ms is not None
    assert NOW_MS <= computed_at_ms <= time.time_ns() // 1_000_000
    assert (body["customerId"], body["tenantId"]) == ("ann", caller.tenant_id)
    assert [one["name"] for one in body["sections"]] == LEGACY
    assert not any("error" in one for one in body["sections"])


def test_interactions_are_the_last_twenty(caller: Caller):
    caller.record(*(event(number, offerId=f"o{number}") for number in range(1, 23)))
    found = sections(caller, "interactions")["interactions"]
    assert [one["offerId"] for one in found] == [f"o{number}" for number in range(1, 21)]
    assert {name: value for name, value in found[0].items() if name != "id"} == {
        "offerId": "o1",
        "channelId": "web",
        "interactionType": "impression",
        "timestamp": iso(NOW_MS - DAY_MS),
    }


def test_experiments_name_the_arm_that_counts(caller: Caller):
    card = {"model_type": "scorecard", "config": {"baseScore": 50}}
    stock(
        caller,
        *offer("loan"),
        Model(id="m1", name="One", key="one", **card),
        Experiment(id="x1", name="Models", key="models", champion_model_id="m1", traffic_split={"championPct": 100}),
    )
    nodes = [
        {"id": "inventory", "type": "inventory"},
        {"id": "match", "type": "match_creatives"},
        {
            "id": "score",
            "type": "score",
            "config": {"method": "propensity", "championChallenger": {"enabled": True, "experimentId": "x1"}},
        },
        {"id": "response", "type": "response"},
    ]
    made = caller.post("/decision-flows", {"key": "f", "name": "F", "draft": nodes})
    assert made.status_code == 201, made.text
    published = caller.post("/decision-flows/publish", {"key": "f"})
    assert published.status_code == 200, published.text
    recommend(caller, decisionFlowKey="f")
    (found,) = sections(caller, "experiments")["experiments"]
    assert (found["experimentId"], found["experimentName"], found["variant"]) == ("x1", "Models", "__champion__")
    assert found["assignedAt"] == found["lastDecidedAt"]


def test_segments_are_the_active_ones_that_the_customer_is_in(caller: Caller):
    change_customers(caller.store, caller.tenant_id, AUTHOR, ["ann"], lambda _before: {"ann": {"age": 34}})
    adults = [{"field": "customer.age", "operator": "gte", "value": 18}]
    made = caller.post("/segments", {"id": "adults", "name": "Adults", "filters": adults, "status": "active"})
    assert made.status_code == 201, made.text
    refreshed = caller.post("/segments/adults/refresh").json()
    (found,) = sections(caller, "segments")["segments"]
    assert (found["segmentId"], found["segmentName"]) == ("adults", "Adults")
    assert found["memberSince"] <= refreshed["lastRefreshedAt"]


def test_journeys_are_those_that_the_customer_is_or_was_in(caller: Caller):
    one = Enrolment(
        id="e1",
        journey_id="welcome",
        journey_version=1,
        customer_id="ann",
        step="wait",
        entered_at_ms=NOW_MS,
        due_at_ms=NOW_MS + DAY_MS,
        enrolled_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + 9 * DAY_MS,
    )
    ended = {"status": EnrolmentStatus.COMPLETED, "enrolled_at_ms": NOW_MS - DAY_MS, "ended_at_ms": NOW_MS}
    other = msgspec.structs.replace(one, id="e2", **ended)
    assert append_enrolments(
        caller.store, [TenantEnrolment(caller.tenant_id, one), TenantEnrolment(caller.tenant_id, other)]
    ) == {"e1", "e2"}
    assert sections(caller, "segments") == {"segments": []}
    found = sections(caller, "journeys")["journeys"]
    assert [(each["enrollmentId"], each["status"], each["completedAt"]) for each in found] == [
        ("e1", "active", None),
        ("e2", "completed", iso(NOW_MS)),
    ]
    assert (found[0]["journeyId"], found[0]["journeyName"], found[0]["currentStep"]) == ("welcome", "welcome", "wait")


def test_consent_is_what_was_said_last_of_each_purpose(caller: Caller):
    said = [
        ("email", ConsentStatus.GRANTED, 2),
        ("email", ConsentStatus.REVOKED, 1),
        ("marketing", ConsentStatus.GRANTED, 3),
    ]
    record_consents(
        caller.store,
        caller.tenant_id,
        AUTHOR,
        [
            CustomerStatement(
                "ann",
                ConsentStatement(
                    purpose=what, status=status, source=ConsentSource.API, stated_at_ms=NOW_MS - days * DAY_MS
                ),
            )
            for what, status, days in said
        ],
    )
    assert sections(caller, "consent")["consent"] == [
        {
            "purpose": "email",
            "status": "revoked",
            "source": "api",
            "grantedAt": iso(NOW_MS - 2 * DAY_MS),
            "revokedAt": iso(NOW_MS - DAY_MS),
        },
        {
            "purpose": "marketing",
            "status": "granted",
            "source": "api",
            "grantedAt": iso(NOW_MS - 3 * DAY_MS),
            "revokedAt": None,
        },
    ]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("interactions", {"history/of_customers", "history/rows"}),
        ("consent,experiments", {"consents/states", "experiments/of_customer", "profiles/known"}),
    ],
)
def test_only_the_sections_asked_for_are_loaded(caller: Caller, wanted: str, expected: set[str]):
    caller.record(event())
    profile(caller)
    assert queries(caller, lambda: profile(caller, sections=wanted)) == expected


def test_sections_that_there_are_not_are_named_with_those_that_there_are(caller: Caller):
    answer = caller.get("/customers/ann/unified-profile?sections=interactions,nonsense,%20clv")
    assert answer.status_code == 400
    (fault,) = answer.json()["details"]
    assert fault["field"] == "sections"
    assert fault["message"] == f"there is no section clv, nonsense; there are {', '.join(LEGACY)}"
    answer = caller.get("/customers/ann/unified-profile?format=xml&sections=interactions")
    assert [fault["field"] for fault in answer.json()["details"]] == ["format", "sections"]


def test_a_customer_of_whom_nothing_is_known_is_not_found(caller: Caller, new_caller: CallerFactory):
    other = new_caller()
    other.record(event())
    profile(other)
    for query in ("", "?sections=segments", "?format=structured"):
        assert caller.get(f"/customers/ann/unified-profile{query}").status_code == 404
    change_customers(caller.store, caller.tenant_id, AUTHOR, ["ann"], lambda _before: {"ann": {"age": 34}})
    assert sections(caller, "interactions,segments") == {"interactions": [], "segments": []}


def test_a_structured_profile_is_one_object(caller: Caller):
    stock(caller, *offer("loan"), MetricDefinition(id="m1", name="Clicks", key="clicks", window_days=30))
    change_customers(caller.store, caller.tenant_id, AUTHOR, ["ann"], lambda _before: {"ann": {"age": 34}})
    caller.record(event(3), event(2, "convert", conversionValue=12.5), event(1, "dismiss", offerId="card"))
    body = profile(caller, format="structured")
    assert body["demographics"]["attributes"] == {"age": 34}
    assert body["demographics"]["contactProfiles"] == []
    assert body["interactions"]["totals"] == {
        "impressions": 1,
        "positive": 1,
        "negative": 1,
        "neutral": 0,
        "converts": 1,
        "totalValue": 12.5,
        "lastContactAt": iso(NOW_MS - DAY_MS),
    }
    assert [one["interactionType"] for one in body["interactions"]["recent"]] == ["dismiss", "convert", "impression"]
    assert body["metrics"] == {"clicks": 3}
    assert body["clv"] == caller.read("/customers/ann/clv") | {"source": "computed"}
    assert body["suppressions"] == caller.read("/customers/ann/suppressions")["data"]
    assert {one["scopeId"] for one in body["suppressions"]} == {"loan", "card"}
    assert (body["extensions"], body["errors"]) == ({}, [])


def test_a_contact_profile_makes_a_customer_known(caller: Caller):
    made = caller.client.post(
        "/new/v2.0/profiles",
        headers={"X-API-Key": caller.keys[Role.ADMIN]},
        json={"profile": {"firstname": "Ann", "email": "ann@example.com"}, "contactIds": ["ann", "ann-2"]},
    )
    assert made.status_code in (200, 201), made.text
    assert sections(caller, "segments") == {"segments": []}
    assert sections(caller, "identities")["identities"] == [
        {"type": "email", "value": "ann@example.com", "confidence": 1.0},
        {"type": "contact_id", "value": "ann-2", "confidence": 1.0},
    ]
    (found,) = profile(caller, format="structured")["demographics"]["contactProfiles"]
    assert (found["firstname"], found["email"]) == ("Ann", "ann@example.com")


def test_sections_that_take_longer_than_the_limit_are_reported(api_world: World, new_caller: CallerFactory):
    caller = new_caller()
    with running_api(api_world, RAPPORT_API_PROFILE_SECTION_S="0.000001") as client:
        found = caller.at(client).get(f"/customers/{uuid.uuid4().hex}/unified-profile").json()["sections"]
    assert {one["error"]["code"] for one in found if "error" in one} == {"TIMEOUT"}
    assert all(one["data"] == [] for one in found)
