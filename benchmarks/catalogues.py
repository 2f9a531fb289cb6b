"""Catalogues to decide on: offers in categories with creatives, 20 contact policies, 20 qualification rules."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from rapport.domain.catalogue.inventory import (
    Category,
    Channel,
    Creative,
    FrequencyCaps,
    Offer,
    PersonalizationVariable,
)
from rapport.domain.catalogue.strategy import ContactPolicy, MetricDefinition, QualificationRule, RuleStage
from rapport.domain.catalogue.values import Entity, ScopeKind
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.storage.client import Store

POLICIES: Final = 20
RULES: Final = 20
CATEGORIES: Final = 8
METRIC: Final = "clicks_30d"
_KIND_OF: Final = {struct: kind for kind, struct in KINDS.items()}
_POLICIES: Final[tuple[tuple[str, Mapping[str, Any]], ...]] = (
    ("frequency_cap", {"maxPerDay": 3, "maxPerWeek": 10}),
    ("frequency_cap", {"maxPerMonth": 40, "timeZone": "customer"}),
    ("cooldown", {"cooldownHours": 0.05}),
    ("outcome_based", {"afterOutcome": "dismiss", "suppressForDays": 3}),
    ("segment_exclusion", {"excludeSegments": ["do_not_disturb"]}),
    ("time_window", {"startHour": 0, "endHour": 24}),
    ("mutual_exclusion", {"offerGroup": ["offer-01", "offer-02"], "withinDays": 7}),
    ("cross_channel_cap", {"maxPerDay": 100}),
    ("customer_total_cap", {"maxPerMonth": 500}),
    ("category_suppression", {"suppressionDays": 2}),
    ("metric_condition", {"metric": METRIC, "operator": "gt", "value": 1_000}),
    ("budget_exhausted", {}),
)
_POLICY_SCOPES: Final = (
    (ScopeKind.GLOBAL, None),
    (ScopeKind.OFFER, "*"),
    (ScopeKind.CATEGORY, "*"),
    (ScopeKind.CHANNEL, "web"),
)
_RULES: Final[tuple[tuple[str, Mapping[str, Any]], ...]] = (
    ("segment_required", {"requiredSegments": ["known"]}),
    ("attribute_condition", {"attribute": "attributes.age", "operator": "gte", "value": 18}),
    ("recency_check", {"attribute": "attributes.lastLogin", "maxDays": 10_000}),
    ("metric_condition", {"metric": METRIC, "operator": "gte", "value": 0}),
    ("offer_attribute", {"attribute": "priority", "operator": "gte", "value": 2}),
    ("propensity_threshold", {"minScore": 0.1}),
)


def make_catalogue(offers: int, seed: int = 7) -> list[Entity]:
    """Make a catalogue with so many offers; the first twenty are those that the events of the benchmarks name."""
    rng = random.Random(seed)
    categories = [Category(id=f"category-{n}", name=f"Category {n}") for n in range(CATEGORIES)]
    channels = [
        Channel(id="web", name="Web", channel_type="web"),
        Channel(id="mobile", name="App", channel_type="in_app"),
        Channel(id="email", name="E-mail", channel_type="email"),
    ]
    listed: list[Entity] = [
        *categories,
        *channels,
        MetricDefinition(id=METRIC, name="Clicks", key=METRIC, window_days=30),
    ]
    for number in range(offers):
        listed += _offer(number, rng)
    listed += [_policy(number) for number in range(POLICIES)]
    listed += [_rule(number, offers) for number in range(RULES)]
    return listed


def store_catalogue(store: Store, tenant_id: str, entities: list[Entity]) -> None:
    """Make a catalogue the tenant's: stored entities that are not in it end."""
    wanted = {(_KIND_OF[type(one)], one.id) for one in entities}
    change_catalogue(
        store,
        tenant_id,
        Author("benchmark"),
        lambda before: [
            *(EntityChange(_KIND_OF[type(one)], one) for one in entities),
            *(
                EntityChange(kind, one, is_deleted=True)
                for kind, present in before.entities.items()
                for one in present
                if (kind, one.id) not in wanted
            ),
        ],
    )


def group_by_kind(entities: list[Entity]) -> dict[str, list[Entity]]:
    """Group entities by kind."""
    grouped: dict[str, list[Entity]] = {}
    for one in entities:
        grouped.setdefault(_KIND_OF[type(one)], []).append(one)
    return grouped


def _offer(number: int, rng: random.Random) -> list[Entity]:
    offer_id = f"offer-{number:02d}"
    name = PersonalizationVariable(variable="name", source="attributes.name", fallback="you")
    content = {"headline": "For {name}: {{rate}} %"}
    return [
        Offer(
            id=offer_id,
            name=f"Offer {number}",
            category_id=f"category-{number % CATEGORIES}",
            priority=rng.randint(1, 100),
            frequency_caps=FrequencyCaps(daily=5) if number % 3 == 0 else FrequencyCaps(),
            margin=round(rng.random(), 3),
            custom_fields={"rate": round(rng.random() * 10, 2)},
        ),
        *(
            Creative(
                id=f"creative-{number:02d}-{index}",
                name=f"Offer {number} on {channel}",
                offer_id=offer_id,
                channel_id=channel,
                content=content,
                personalization=[name],
            )
            for index, channel in enumerate(("web", "mobile", "email"))
        ),
    ]


def _policy(number: int) -> ContactPolicy:
    rule_type, config = _POLICIES[number % len(_POLICIES)]
    scope, scope_id = _POLICY_SCOPES[number % len(_POLICY_SCOPES)]
    return ContactPolicy(
        id=f"policy-{number}",
        name=f"Policy {number}",
        rule_type=rule_type,  # type: ignore[arg-type]
        config=config,
        scope=scope,
        scope_id=scope_id,
        priority=number,
    )


def _rule(number: int, offers: int) -> QualificationRule:
    rule_type, config = _RULES[number % len(_RULES)]
    scopes = (
        (ScopeKind.GLOBAL, None),
        (ScopeKind.CATEGORY, f"category-{number % CATEGORIES}"),
        (ScopeKind.OFFER, f"offer-{number % offers:02d}"),
    )
    scope, scope_id = scopes[number % len(scopes)]
    return QualificationRule(
        id=f"rule-{number}",
        name=f"Rule {number}",
        rule_type=rule_type,  # type: ignore[arg-type]
        config=config,
        scope=scope,
        scope_id=scope_id,
        priority=number,
        stage=RuleStage.MATCH if number % 7 == 0 else RuleStage.ELIGIBILITY,
    )
