"""Decisions of the demo: recommendations for two customers, a response, and the effect of a formula and a cap."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rapport.application.catalogue_files.plan import plan_entities
from rapport.application.catalogue_files.reader import read_catalogue
from rapport.demo.replay import ReplayError
from rapport.storage.audit import audit_catalogue
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rapport.storage.client import Store

CATALOGUE: Final = Path(__file__).parents[2] / "demo" / "catalogue.yaml"
CAP: Final = 3
POLICY: Final = "Each offer three times a day"
STRANGER: Final = "somebody-new"
"""Customer without any purchase."""
SAMPLE: Final = 100
"""Customers for whom the demo checks that there is something to offer."""
PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendedOffer:
    """Recommended offer."""

    rank: int
    offer_id: str
    name: str
    score: float
    price: float
    headline: str


@dataclass(slots=True, kw_only=True)
class Decisions:
    """Decisions of the demo.

    Attributes:
        customer_id: The loyal customer.
        as_new: Offers for a customer without purchases.
        as_loyal: Offers for the loyal customer, by the purchases in the history.
        clicked: Offer of the recorded response to the first offer.
        capped: Offers after the first one was shown as often as the cap allows.
        missing: The offer that is missing then.
        reason: Its removal's reason, in the API's words.
        sampled: Customers of the simulation.
        reached: Customers of the simulation for whom there was something to offer.
    """

    customer_id: str
    as_new: Sequence[RecommendedOffer] = field(default_factory=tuple)
    as_loyal: Sequence[RecommendedOffer] = field(default_factory=tuple)
    clicked: str = ""
    capped: Sequence[RecommendedOffer] = field(default_factory=tuple)
    missing: str = ""
    reason: str = ""
    sampled: int = 0
    reached: int = 0


class ShopApi:
    """Client for the few API calls of the demo."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post a JSON body and return the answer."""
        return self._ask(path, json.dumps(body).encode())

    def get(self, path: str) -> dict[str, Any]:
        """Get a resource."""
        return self._ask(path, None)

    def _ask(self, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"X-API-Key": self._key, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}/api/v1{path}", body, headers)  # noqa: S310 - our own http URL
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - likewise
                content: dict[str, Any] = json.loads(answer.read())
                return content
        except urllib.error.HTTPError as error:
            raise ReplayError(f"the API answers {path} with {error.code}: {error.read().decode()}") from error
        except OSError as error:
            raise ReplayError(f"the API does not answer {path}: {error}") from error


def stock_shop(store: Store, tenant_id: str) -> None:
    """Store the shop's catalogue as the tenant's."""
    catalogue = read_catalogue(CATALOGUE.read_text("utf-8"))

    def decide(before: Any) -> Sequence[EntityChange]:  # noqa: ANN401 - the catalogue as it is stored
        steps, _ = plan_entities(catalogue, before.entities, prune=False)
        return [EntityChange(step.kind, step.after) for step in steps if step.after is not None]

    change_catalogue(store, tenant_id, Author("demo"), decide)
    audit_catalogue(store, tenant_id)


def decide_for(api: ShopApi, customer_id: str) -> Decisions:
    """Request recommendations for different customers, respond to one, and repeat until the cap applies.

    Args:
        api: API of the demo's stack.
        customer_id: Customer with many purchases.

    Raises:
        ReplayError: The API does not answer as it should.
    """
    decisions = Decisions(customer_id=customer_id)
    _wait_for_catalogue(api)
    decisions.as_new = _read_offers(_recommend(api, STRANGER))
    simulation = api.post("/simulate", {"channel": "web", "sampleSize": SAMPLE})
    decisions.sampled, decisions.reached = simulation["sampleSize"], simulation["reachableCustomers"]
    first = _recommend(api, customer_id)
    decisions.as_loyal = _read_offers(first)
    top = decisions.as_loyal[0]
    response = api.post(
        "/respond",
        {
            "customerId": customer_id,
            "recommendationId": first["recommendationId"],
            "rank": 1,
            "outcome": "click",
            "idempotencyKey": f"{first['recommendationId']}-click",
        },
    )
    decisions.clicked = response["offerId"]
    for _ in range(CAP - 1):
        _recommend(api, customer_id)
    decisions.capped = _read_offers(_recommend(api, customer_id))
    decisions.missing = top.offer_id
    removals = _recommend(api, customer_id)["traceSummary"]["removals"]
    reasons = [
        f"{removal.get('byName')}: {removal['reason']}" for removal in removals if removal["offerId"] == top.offer_id
    ]
    decisions.reason = reasons[0] if reasons else ""
    return decisions


def find_shop_faults(decisions: Decisions) -> list[str]:
    """List the decisions' deviations from the expected ones, a sentence each; empty if there are none."""
    checks = [
        ("a new customer is offered something cheap first", decisions.as_new[:1] and decisions.as_new[0].price < 20),
        ("a loyal one something dear", decisions.as_loyal[:1] and decisions.as_loyal[0].price > 30),
        (
            "the response found what was recommended",
            decisions.as_loyal[:1] and decisions.clicked == decisions.as_loyal[0].offer_id,
        ),
        ("the cap leaves something else to offer", bool(decisions.capped)),
        (f"the cap of {CAP} a day holds", decisions.missing not in [offer.offer_id for offer in decisions.capped]),
        ("the trace names the policy", POLICY in decisions.reason),
        (
            f"there is something to offer to each of {decisions.sampled} customers",
            decisions.reached == decisions.sampled > 0,
        ),
    ]
    return [f"not so: {what}" for what, holds in checks if not holds]


def _wait_for_catalogue(api: ShopApi) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not api.get("/offers?limit=1")["data"] or not _recommend(api, STRANGER)["count"]:
        if time.monotonic() > deadline:
            raise ReplayError("the API has not picked up the catalogue")
        time.sleep(0.1)


def _recommend(api: ShopApi, customer_id: str) -> dict[str, Any]:
    body = {"customerId": customer_id, "channel": "web", "limit": 3, "attributes": {"name": "Ann"}, "debug": True}
    return api.post("/recommend", body)


def _read_offers(answer: Mapping[str, Any]) -> list[RecommendedOffer]:
    return [
        RecommendedOffer(
            rank=decision["rank"],
            offer_id=decision["offerId"],
            name=decision["offerName"],
            score=decision["score"],
            price=decision["personalization"]["price"],
            headline=decision["content"]["headline"],
        )
        for decision in answer["decisions"]
    ]
