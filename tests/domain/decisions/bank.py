"""Catalogue of a small bank, and decisions with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.catalogue.values import Entity
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.domain.decisions.candidates import Request
from rapport.domain.decisions.catalogue import Catalogue, Extension
from rapport.domain.decisions.compile import compile_catalogue
from rapport.domain.decisions.decision import Decision
from rapport.domain.decisions.engine import decide
from rapport.domain.decisions.facts import CustomerFacts, TenantFacts
from tests.domain.decisions.small_catalogue import NOW_MS

CHANNELS = [
    {"id": "web", "channelType": "web"},
    {"id": "mail", "channelType": "email", "couplingMode": "atomic"},
]
PLACEMENTS = [
    {"id": "p-hero", "key": "hero", "channelId": "web"},
    {"id": "p-side", "key": "side", "channelId": "web"},
    {"id": "p-head", "key": "head", "channelId": "mail"},
    {"id": "p-body", "key": "body", "channelId": "mail"},
]
CATEGORIES = [{"id": "credit", "name": "Credit"}, {"id": "deposits", "name": "Deposits"}]
OFFERS = [
    {"id": "loan", "categoryId": "credit", "priority": 90},
    {"id": "card", "categoryId": "credit", "priority": 70},
    {"id": "save", "categoryId": "deposits", "priority": 60},
    {"id": "fund", "categoryId": "deposits", "priority": 40},
]
CREATIVES = [
    {"id": f"{offer['id']}-{channel['id']}", "offerId": offer["id"], "channelId": channel["id"]}
    for offer in OFFERS
    for channel in CHANNELS
]
BANK: dict[str, list[dict[str, Any]]] = {
    "channel": CHANNELS,
    "placement": PLACEMENTS,
    "category": CATEGORIES,
    "offer": OFFERS,
    "creative": CREATIVES,
}


def entity(kind: str, **fields: Any) -> Entity:
    """Decode an entity; its name is its id unless one is given."""
    return msgspec.convert({"name": fields["id"], **fields}, KINDS[kind])


def bank(extensions: dict[str, Extension] | None = None, **more: Iterable[dict[str, Any]]) -> Catalogue:
    """Compile the bank's catalogue; given entities, by kind, are added or replace those with the same id."""
    entities: dict[str, list[Entity]] = {}
    for kind in KINDS:
        by_id = {fields["id"]: fields for fields in (*BANK.get(kind, ()), *more.get(kind, ()))}
        entities[kind] = [entity(kind, **fields) for fields in by_id.values()]
    return compile_catalogue("test", entities, extensions)


def flow(*nodes: dict[str, Any], key: str = "f", **fields: Any) -> dict[str, Any]:
    """Make a flow of all offers: the given nodes, with default score and rank nodes unless these are given."""
    names = [node["type"] for node in nodes]
    published = [{"type": "inventory"}, {"type": "match_creatives"}, *nodes]
    published += [{"type": kind} for kind in ("score", "rank") if kind not in names]
    published.sort(key=lambda node: _ORDER.get(node["type"], 0))
    published.append({"type": "response"})
    return {
        "id": key,
        "key": key,
        "published": [{"id": f"{node['type']}-{index}", **node} for index, node in enumerate(published)],
        "publishedVersion": 1,
        **fields,
    }


_ORDER = {"score": 1, "optimize": 2, "rank": 3, "group": 4, "compute": 5, "set_properties": 5}


def decided(
    catalogue: Catalogue,
    customer: CustomerFacts | None = None,
    tenant: TenantFacts | None = None,
    *,
    key: str | None = None,
    now_ms: int = NOW_MS,
    seed: int = 7,
    open_circuits: frozenset[str] = frozenset(),
    **request: Any,
) -> Decision:
    """Decide for customer ann on the web, unless the request says otherwise."""
    asked = {"customer_id": "ann", **({} if "placements" in request else {"channel_id": "web"}), **request}
    chosen = catalogue.choose_flow(key, None, None)
    assert isinstance(chosen, DecisionFlow), catalogue.problems
    return decide(
        catalogue,
        chosen,
        Request(**asked),
        customer or CustomerFacts(),
        tenant or TenantFacts(),
        now_ms=now_ms,
        seed=seed,
        open_circuits=open_circuits,
    )


def offers_of(decision: Decision) -> list[str]:
    """Return the ids of the shown offers, in order."""
    return [item.offer_id for item in decision.items]


def reasons_of(decision: Decision) -> dict[str, str]:
    """Return the reason of the last removal by offer: ``stage by: reason``."""
    return {one.offer_id: f"{one.stage} {one.by}: {one.reason}" for one in decision.trace.removals}
