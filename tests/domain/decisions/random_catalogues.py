"""Random catalogues, requests and facts: every kind of rule, policy, node and model occurs, and scopes that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import msgspec

from rapport.domain.catalogue.values import Entity
from rapport.domain.decisions.candidates import Candidate, Context, PlacementRequest, Request
from rapport.domain.decisions.catalogue import Catalogue, Extension
from rapport.domain.decisions.compile import compile_catalogue
from rapport.domain.decisions.facts import Counts, CustomerFacts, Evidence, ReservedImpression, Subject, TenantFacts
from rapport.domain.decisions.windows import WindowUnit
from rapport.domain.profiles.suppressions import SuppressionEndings
from tests.domain.decisions.bank import entity
from tests.domain.decisions.small_catalogue import DAY_MS, HOUR_MS, NOW_MS

CHANNELS: Final = ("web", "mail", "app")
CATEGORIES: Final = ("c0", "c1", "c2")
SEGMENTS: Final = ("vip", "young", "known", "known")
PLACEMENTS: Final = (("hero", "web"), ("side", "web"), ("head", "mail"))
OUTCOMES: Final = ("complaint", "dismiss", "convert", "not_interested")
EXPIRY: Final = ("2026-03-18T12:00:00Z", "2026-03-19T00:00:00Z")
RULES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("segment_required", {"requiredSegments": ["known"]}),
    ("attribute_condition", {"attribute": "age", "operator": "gte", "value": 18}),
    ("attribute_condition", {"attribute": "offer.rate", "operator": "lt", "value": 5}),
    ("attribute_condition", {"attribute": "creative.weight", "operator": "gt", "value": 10}),
    ("attribute_condition", {"attribute": "channel.channelType", "operator": "neq", "value": "email"}),
    ("attribute_condition", {"attribute": "request.channelId", "operator": "exists"}),
    ("recency_check", {"attribute": "attributes.lastLogin", "maxDays": 100}),
    ("recency_check", {"attribute": "offer.launched", "maxDays": 100, "onMissing": "pass"}),
    ("metric_condition", {"metric": "clicks", "operator": "gte", "value": 3}),
    ("offer_attribute", {"attribute": "priority", "operator": "gte", "value": 40}),
    ("offer_attribute", {"attribute": "rate", "operator": "exists"}),
    ("propensity_threshold", {"minScore": 0.3}),
    ("propensity_threshold", {"minScore": 0.3, "onMissing": "fail"}),
    ("metric_condition", {"operator": "nonsense"}),
)
POLICIES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("frequency_cap", {"maxPerDay": 2}),
    ("frequency_cap", {"maxPerDay": 1, "maxPerMonth": 4, "timeZone": "customer"}),
    ("frequency_cap", {"maxContacts": 2, "windowHours": 30, "counts": "contacts"}),
    ("frequency_cap", {"maxTotal": 1, "counts": "converts"}),
    ("cooldown", {"cooldownHours": 5}),
    ("budget_exhausted", {"threshold": 0.5, "bypassable": False}),
    ("outcome_based", {"preset": "complaints", "suppressForDays": 2, "endedBy": ["convert"]}),
    ("outcome_based", {"afterOutcome": "dismiss", "suppressForDays": 3, "endedByConsent": ["email"]}),
    ("segment_exclusion", {"excludeSegments": ["vip"]}),
    ("time_window", {"startHour": 13, "endHour": 23}),
    ("time_window", {"startHour": 22, "endHour": 13, "timeZone": "customer"}),
    ("mutual_exclusion", {"offerGroup": ["o00", "o01", "o04"], "withinDays": 2}),
    ("cross_channel_cap", {"maxPerWeek": 3}),
    ("customer_total_cap", {"maxPerDay": 3, "bypassable": False}),
    ("allow_override", {"conditions": [{"field": "offer.priority", "operator": "gte", "value": 80}]}),
    ("allow_override", {"conditions": [{"field": "customer.age", "operator": "gte", "value": 60}]}),
    ("category_suppression", {"suppressionDays": 2}),
    ("category_suppression", {"subCategoryId": "s1", "afterOutcome": ["convert"]}),
    ("metric_condition", {"metric": "clicks", "operator": "gt", "value": 4}),
    ("frequency_cap", {}),
)
MODELS: Final[tuple[dict[str, Any], ...]] = (
    {
        "modelType": "scorecard",
        "config": {
            "rules": [
                {"id": "a", "field": "age", "operator": "gte", "value": 30, "points": 20},
                {"id": "b", "field": "offer.priority", "operator": "gte", "value": 50, "points": -15},
            ]
        },
    },
    {"modelType": "logistic_regression", "config": {"bias": -1, "weights": {"offer.priority": 0.01, "age": 0.02}}},
    {"modelType": "scorecard", "config": {"minScore": 5, "maxScore": 1}},
)
EXPLORING_MODELS: Final[tuple[dict[str, Any], ...]] = (
    {"modelType": "thompson_bandit"},
    {"modelType": "thompson_bandit", "config": {"prior": {"alpha": 2, "beta": 20}}},
    {"modelType": "epsilon_greedy", "config": {"epsilon": 0.5}},
    {"modelType": "epsilon_greedy", "config": {"epsilon": 0.2}},
)
EXPRESSIONS: Final = ("propensity * 2 + weight", "emphasis * fit + rate / 100", "1 / (relevance - relevance)", "((")


@dataclass(frozen=True, slots=True)
class Case:
    """Arguments of a decision.

    Attributes:
        key: Key of the flow; ``base`` for the base flow.
    """

    catalogue: Catalogue
    key: str
    request: Request
    customer: CustomerFacts
    tenant: TenantFacts
    seed: int
    open_circuits: frozenset[str]


def make_case(seed: int, offers: int, rules: int, policies: int, nodes: int, *, explores: bool = False) -> Case:
    """Make a case.

    Args:
        seed: What it is made from.
        offers: How many there are; likewise of rules, policies and further nodes.
        rules: See ``offers``.
        policies: See ``offers``.
        nodes: See ``offers``.
        explores: Whether its models explore, and decide. Then nothing else depends on chance: no two creatives of an
            offer are on one channel, and no channel is shown whole or not at all.
    """
    rng = Random(seed)
    maker = _CatalogueMaker(rng, explores)
    catalogue = maker.make(offers, rules, policies, nodes)
    return Case(
        catalogue,
        rng.choice(["base", "f", "f", "f"]) if "f" in catalogue.flows else "base",
        _make_request(rng, sorted(catalogue.offers)),
        _make_customer(rng, catalogue),
        _make_tenant(rng, sorted(catalogue.offers)),
        rng.getrandbits(32),
        frozenset(rng.choices(["m0"], k=rng.random() < 0.1)),
    )


def flip_scores(candidates: Any, _context: Context) -> list[Candidate]:
    """Drop the second candidate, turn the others around, change a score and set a property, as a plug-in may."""
    kept = [*candidates[:1], *candidates[2:]][::-1]
    for candidate in kept[:2]:
        candidate.properties["flipped"] = True
        if candidate.score is not None:
            candidate.score = candidate.score / 2
    return kept


def change_offers(candidates: Any, context: Context) -> list[Candidate]:
    """Change what rules read of every second offer, but for one customer alone."""
    for candidate in candidates[::2]:
        if context.request.customer_id == "bob":
            candidate.offer = msgspec.structs.replace(candidate.offer, priority=60, custom_fields={"rate": 4})
    return list(candidates)


def fail(_candidates: Any, _context: Context) -> list[Candidate]:
    """Fail, as a plug-in may."""
    raise RuntimeError("no plug-in")


class _CatalogueMaker:
    def __init__(self, rng: Random, explores: bool) -> None:  # noqa: FBT001
        self._rng = rng
        self._explores = explores
        self._models = EXPLORING_MODELS if explores else MODELS

    def make(self, offers: int, rules: int, policies: int, nodes: int) -> Catalogue:
        rng = self._rng
        names = [f"o{number:02d}" for number in range(offers)]
        entities: dict[str, list[dict[str, Any]]] = {
            "channel": [
                {"id": "web", "channelType": "web", "couplingMode": rng.choice(["partial", "atomic"])},
                {"id": "mail", "channelType": "email"},
                {"id": "app", "channelType": rng.choice(["in_app", "push", None])},
            ],
            "placement": [{"id": f"p-{key}", "key": key, "channelId": channel} for key, channel in PLACEMENTS],
            "category": [{"id": name} for name in CATEGORIES],
            "sub_category": [{"id": "s1", "categoryId": "c1"}, {"id": "s2", "categoryId": "c2"}],
            "offer": [self._offer(name) for name in names],
            "creative": [creative for name in names for creative in self._list_creatives(name)],
            "qualification_rule": [self._rule(number) for number in range(rules)],
            "contact_policy": [self._policy(number) for number in range(policies)],
            "suppression_rule": [self._suppression(number) for number in range(rng.randint(0, 2))],
            "model": [{"id": f"id-m{n}", "key": f"m{n}", **rng.choice(self._models)} for n in range(2)],
            "experiment": [self._experiment()],
            "ranking_profile": [
                {"id": "prof", "key": "prof", "weights": {"propensity": 0.3, "impact": 0.4, "fatigue": 0.2}}
            ],
            "segment": [],
            "decision_flow": [self._flow("f", nodes), self._flow("g", 2)],
        }
        plug_ins: Sequence[tuple[str, Extension]] = (
            ("pre_score", flip_scores),
            ("pre_score", change_offers),
            ("pre_score", fail),
            ("post_rank", flip_scores),
        )
        extensions = dict(rng.sample(plug_ins, rng.choice([0, 1])))
        made: dict[str, list[Entity]] = {
            kind: [entity(kind, **fields) for fields in listed] for kind, listed in entities.items()
        }
        return compile_catalogue("random", made, extensions)

    def _maybe(self, share: float, **fields: Any) -> dict[str, Any]:
        return fields if self._rng.random() < share else {}

    def _offer(self, name: str) -> dict[str, Any]:
        rng = self._rng
        return {
            "id": name,
            "categoryId": rng.choice([*CATEGORIES, None]),
            "subCategoryId": rng.choice(["s1", "s2", None, None]),
            "priority": rng.choice([0, 40, 50, 80, 100]),
            "status": rng.choice(["active"] * 9 + ["paused"]),
            "margin": rng.choice([None, 50.0, -3.0]),
            "tags": rng.choice([[], ["vip"]]),
            "productType": rng.choice(["", "loan"]),
            "customFields": self._maybe(0.7, rate=rng.randint(0, 9)),
            **self._maybe(0.2, frequencyCaps={rng.choice(["daily", "weekly", "monthly"]): rng.randint(1, 2)}),
            **self._maybe(0.2, budget={"maxPerDay": 5, "dailyCapCents": 30, "costPerImpressionCents": 10.0}),
            **self._maybe(0.15, mandatory=True, **self._maybe(0.5, mandatoryExpiresAt=rng.choice(EXPIRY))),
            **self._maybe(0.1, schedule={rng.choice(["startAt", "endAt"]): rng.choice(EXPIRY)}),
        }

    def _list_creatives(self, name: str) -> list[dict[str, Any]]:
        rng = self._rng
        channels = [*CHANNELS, "web", "gone"]
        return [
            {
                "id": f"{name}-{number}",
                "offerId": name,
                "channelId": channels[number] if self._explores else rng.choice(channels),
                "placementId": rng.choice([None, None, "p-hero", "p-side", "p-head"]),
                "weight": rng.choice([100, 50, 0]),
                "content": {"text": rng.choice(["plain", "{rate} for {name}"])},
                "personalization": [
                    {"variable": "name", "source": "customer.name", "fallback": rng.choice(["", None])}
                ],
            }
            for number in range(rng.choice([0, 1, 1, 1, 2, 3]))
        ]

    def _scopes(self) -> dict[str, Any]:
        rng = self._rng
        listed = [
            rng.choice(
                [
                    {"scope": "global"},
                    {"scope": "offer", "scopeId": rng.choice(["*", "o00", "o03"])},
                    {"scope": "category", "scopeId": rng.choice(["*", *CATEGORIES])},
                    {"scope": "subcategory", "scopeId": rng.choice(["*", "s1"])},
                    {"scope": "creative", "scopeId": rng.choice(["*", "o00-0", "o01-0"])},
                    {"scope": "channel", "scopeId": rng.choice(["*", "web", "mail"])},
                    {"scope": "placement", "scopeId": rng.choice(["*", "p-hero"])},
                    {"scope": "segment", "scopeId": rng.choice(SEGMENTS)},
                ]
            )
            for _ in range(rng.choice([1, 1, 1, 2, 3]))
        ]
        return listed[0] if len(listed) == 1 else {"scopes": listed}

    def _rule(self, number: int) -> dict[str, Any]:
        kind, config = self._rng.choice(RULES[:-1] if self._rng.random() < 0.95 else RULES)
        stage = self._rng.choice(["eligibility", "fit", "match", "match", "match"])
        priority, multiplier = self._rng.randint(0, 3), self._rng.choice([0.5, 0.9])
        return {
            "id": f"r{number}",
            "ruleType": kind,
            "config": config,
            "stage": stage,
            "priority": priority,
            "multiplier": multiplier,
            **self._scopes(),
        }

    def _policy(self, number: int) -> dict[str, Any]:
        kind, config = self._rng.choice(POLICIES[:-1] if self._rng.random() < 0.95 else POLICIES)
        priority = self._rng.randint(0, 3)
        return {"id": f"p{number}", "ruleType": kind, "config": config, "priority": priority, **self._scopes()}

    def _suppression(self, number: int) -> dict[str, Any]:
        rng = self._rng
        return {
            "id": f"s{number}",
            "outcomes": [rng.choice(OUTCOMES)],
            "scope": rng.choice(["global", "offer", "category"]),
            "days": 2,
            "endedBy": ["convert"],
            "endedByConsent": ["marketing"],
            "bypassable": rng.random() < 0.5,
        }

    def _experiment(self) -> dict[str, Any]:
        return {
            "id": "e",
            "key": "e",
            "championModelId": "id-m0",
            "trafficSplit": {"championPct": 40},
            "challengers": [{"modelId": "id-m1", "trafficPct": 60}],
            "holdoutPercent": self._rng.choice([0, 0, 50]),
        }

    def _flow(self, key: str, nodes: int) -> dict[str, Any]:
        rng = self._rng
        narrow = [self._narrow(key) for _ in range(nodes)]
        published = [
            {"type": "inventory", "config": self._inventory()},
            *self._list_matches(),
            *narrow,
            *([{"type": "extension_point", "config": {"point": "pre_score"}}] if rng.random() < 0.5 else []),
            {"type": "score", "config": self._score()},
            *([{"type": "optimize", "config": {"profileId": "prof"}}] if rng.random() < 0.2 else []),
            *([{"type": "rank", "config": self._rank()}] if rng.random() < 0.8 else []),
            *([{"type": "group", "config": {"method": rng.choice(["greedy", "optimal"])}}] if nodes % 2 else []),
            *([{"type": "extension_point", "config": {"point": "post_rank"}}] if rng.random() < 0.5 else []),
            *([{"type": "set_properties", "config": {"properties": {"a": 1}}}] if rng.random() < 0.3 else []),
            *([{"type": "compute", "config": {"fields": [{"name": "x", "formula": "rate + 1"}]}}] if nodes else []),
        ]
        return {
            "id": key,
            "key": key,
            "published": [{"id": f"{node['type']}-{number}", **node} for number, node in enumerate(published)],
            "publishedVersion": 1,
            "skip": rng.choice([[], [], ["qualify"], ["contact_policy", "match_creatives"]]),
            **self._maybe(1.0 if self._explores else 0.3, couplingOverride=self._coupling()),
        }

    def _coupling(self) -> str:
        return "partial" if self._explores else self._rng.choice(["partial", "atomic"])

    def _inventory(self) -> dict[str, Any]:
        return self._rng.choice(
            [
                {},
                {},
                {"scope": "category", "categoryIds": ["c0"], "offerIds": ["o01", "o02"]},
                {"scope": "subcategory", "subCategoryIds": ["s1"]},
                {"includeStatuses": ["active", "paused"]},
            ]
        )

    def _list_matches(self) -> list[dict[str, Any]]:
        rng = self._rng
        mode, required = rng.choice(["exact", "any", "none"]), rng.random() < 0.6
        node = {"type": "match_creatives", "config": {"placementMatchMode": mode, "requireCreative": required}}
        return [node] if rng.random() < 0.8 else []

    def _narrow(self, key: str) -> dict[str, Any]:
        rng = self._rng
        conditions = [{"field": "offer.priority", "operator": "gte", "value": 40}]
        return rng.choice(
            [
                {"type": "qualify"},
                {"type": "qualify", "config": {"mode": "explicit", "ids": ["r0", "r2"]}},
                {"type": "contact_policy"},
                {"type": "contact_policy", "config": {"mode": "explicit", "ids": ["p0", "p1", "p3"]}},
                {"type": "filter", "config": {"conditions": conditions}},
                {"type": "enrich"},
                {"type": "call_flow", "config": {"flowKey": rng.choice(["g", "g", "none"]) if key == "f" else "base"}},
                {
                    "type": "conditional",
                    "config": {
                        "conditions": [{"field": "segments", "operator": "contains", "value": "vip"}],
                        "then": [{"id": "t", "type": "qualify"}],
                        "otherwise": [{"id": "o", "type": "contact_policy"}],
                    },
                },
            ]
        )

    def _score(self) -> dict[str, Any]:
        rng = self._rng
        split = rng.choice(
            [
                {"experimentId": "e"},
                {
                    "champion": {"modelKey": "m0", "weight": 50},
                    "challengers": [{"modelKey": "m1", "weight": 50}],
                },
            ]
        )
        overrides = [{"scope": rng.choice(["category", "channel"]), "value": "c0", "profileId": "prof"}]
        return {
            "method": rng.choice(["priority_weighted"] * (0 if self._explores else 2) + ["propensity", "formula"]),
            "modelKey": rng.choice(["m0", "m1"] if self._explores else ["", "m0", "m1", "missing"]),
            **self._maybe(0.3, championChallenger=split),
            **self._maybe(0.3, expression=rng.choice(EXPRESSIONS)),
            **self._maybe(0.3, floor=0.4),
            **self._maybe(0.2, shadowModelKeys=["m1", "missing"]),
            **self._maybe(0.3, levers={"o01": 2.0, "c1": 0.5}),
            **self._maybe(0.2, strategyOverrides=overrides),
        }

    def _rank(self) -> dict[str, Any]:
        rng = self._rng
        return {
            "method": rng.choice(["top_score", "diversity", "round_robin"]),
            "maxCandidates": rng.choice([1, 3, 5, 50]),
        }


def _make_request(rng: Random, offers: list[str]) -> Request:
    channel_id = rng.choice(["web", "web", "mail", "app", None])
    placements = [
        PlacementRequest(placement_id=f"p-{key}", channel_id=rng.choice([channel, None]), limit=rng.randint(1, 3))
        for key, channel in rng.sample(PLACEMENTS, rng.choice([0, 0, 0, 2, 3]))
    ]
    return Request(
        customer_id=rng.choice(["ann", "bob", "cy"]),
        channel_id=channel_id,
        channel_type=rng.choice([None, None, None, "web"]),
        placement_id=rng.choice([None, None, "p-hero", "p-side"]),
        limit=rng.choice([1, 3, 10, 50]),
        placements=placements,
        deduplicate=rng.choice([True, False, None]),
        attributes={"lastLogin": "2026-03-01", "name": "Ann"} if rng.random() < 0.7 else {},
        context={"screen": "home"},
        segments=frozenset(rng.sample(SEGMENTS, rng.randint(0, 2))),
        excluded_offers=frozenset(rng.sample(offers, min(len(offers), rng.choice([0, 0, 0, 2])))),
        excluded_creatives=frozenset(rng.sample(["o00-0", "o01-0", "o02-1"], rng.choice([0, 0, 0, 2]))),
        propensities={name: rng.random() for name in offers if rng.random() < 0.3} if rng.random() < 0.5 else {},
        levers={"o02": 3.0, "c0": 0.0, "c2": -1.0} if rng.random() < 0.2 else {},
    )


def _make_customer(rng: Random, catalogue: Catalogue) -> CustomerFacts:
    subjects = [
        Subject(offer_id, creative.id, creative.channel_id)
        for offer_id, creatives in catalogue.creatives.items()
        for creative in creatives
    ]
    subjects = rng.sample(subjects, min(len(subjects), rng.choice([0, 0, 1, 4])))
    if rng.random() < 0.2:
        subjects += [Subject("o03", "", ""), Subject("ended", "ended-0", "web")]
    counted = {subject: Counts(*(rng.choice([0, 0, 1, 2]) for _ in range(5))) for subject in subjects}
    return CustomerFacts(
        person_id=rng.choice(["", "person"]),
        attributes={"age": rng.choice([17, 40, 70]), "name": "Ann"} if rng.random() < 0.8 else {},
        segments=frozenset(rng.sample(SEGMENTS, rng.randint(0, 2))),
        metrics={"clicks": float(rng.choice([1, 4, 5]))} if rng.random() < 0.7 else {},
        time_zone=rng.choice([None, "America/New_York"]),
        unknown_zone=rng.choice(["", "", "", "Mars"]),
        counts={
            window: counted if window.unit is WindowUnit.ALL or rng.random() < 0.5 else {}
            for window in sorted(catalogue.needs.windows, key=str)
        },
        last_contact_ms={subject: NOW_MS - rng.randint(0, 4 * DAY_MS) for subject in subjects},
        last_outcome_ms={
            (outcome, subject): NOW_MS - rng.randint(0, 4 * DAY_MS)
            for subject in subjects
            for outcome in OUTCOMES
            if rng.random() < 0.3
        },
        reservations=[
            ReservedImpression(subject, NOW_MS - rng.randint(0, 30) * HOUR_MS)
            for subject in subjects
            if rng.random() < 0.3
        ],
        withheld=frozenset(rng.choice([[]] * 8 + [["email"], ["marketing"]])),
        objections=rng.choice([(), (), (), ("the customer objects",)]) if rng.random() < 0.2 else (),
        endings=SuppressionEndings(granted_ms={"marketing": NOW_MS - DAY_MS}, lifted_ms={("s0", "o00"): NOW_MS - 1}),
    )


def _make_tenant(rng: Random, offers: list[str]) -> TenantFacts:
    shown = {name: rng.randint(1, 9) for name in offers if rng.random() < 0.5}
    evidence = {
        **{("offer", name): Evidence(rng.randint(0, 60), rng.randint(0, 60)) for name in offers if rng.random() < 0.3},
        **({("category", "c0"): Evidence(10, 15)} if rng.random() < 0.3 else {}),
        **({("channel", "web"): Evidence(10, 15)} if rng.random() < 0.2 else {}),
        **({("global", ""): Evidence(5, 6)} if rng.random() < 0.2 else {}),
    }
    return TenantFacts(
        tenant_id="t",
        time_zone=rng.choice(["UTC", "Asia/Tokyo"]),
        shown_today=shown,
        shown=shown,
        mean_shown=3.5,
        evidence=evidence,
        holdout_percent=rng.choice([0.0, 0.0, 0.0, 60.0]),
    )
