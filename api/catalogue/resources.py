"""Every kind of the catalogue as a resource: where it is, who may write it, how its lists are filtered, an example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from api.catalogue.filters import (
    Filters,
    channel_filters,
    creative_filters,
    key_filters,
    model_filters,
    offer_filters,
    placement_filters,
    policy_filters,
    rule_filters,
    sub_category_filters,
    suppression_filters,
)
from api.catalogue.filters import no_filters as category_filters
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.kinds import KINDS
from rapport.storage.catalogue import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind on the API.

    Attributes:
        path: Below ``/api/v1``.
        noun: For people.
        writer: The role that may write it.
        filters: Reads what its lists are filtered by.
        fields: Of the example.
    """

    kind: str
    path: str
    noun: str
    plural: str
    writer: Role
    filters: Callable[..., Filters]
    fields: dict[str, Any]
    tag: str = "Catalogue"

    @property
    def one(self) -> str:
        """The noun with its article."""
        return f"{'an' if self.noun[0] in 'aeio' else 'a'} {self.noun}"

    @property
    def example(self) -> Record:
        """An entity of the kind, as the documentation shows it."""
        return Record(
            kind=self.kind,
            id=self.fields["id"],
            version=1,
            entity=msgspec.convert(self.fields, KINDS[self.kind]),
            is_deleted=False,
            changed_by="key key_2f6c1b1e0d9a4c77",
            created_at_ms=1_773_585_000_000,
            updated_at_ms=1_773_585_000_000,
        )


RESOURCES: Final[Sequence[Resource]] = (
    Resource(
        kind="channel",
        path="/channels",
        noun="channel",
        plural="channels",
        writer=Role.EDITOR,
        filters=channel_filters,
        fields={"id": "ch_email", "name": "Email", "channelType": "email"},
    ),
    Resource(
        kind="placement",
        path="/placements",
        noun="placement",
        plural="placements",
        writer=Role.EDITOR,
        filters=placement_filters,
        fields={"id": "pl_hero", "key": "hero_banner", "name": "Hero banner", "channelId": "ch_web", "maxSlots": 1},
    ),
    Resource(
        kind="category",
        path="/categories",
        noun="category",
        plural="categories",
        writer=Role.EDITOR,
        filters=category_filters,
        fields={
            "id": "cat_cards",
            "name": "Credit cards",
            "customFields": [{"key": "apr", "label": "Rate", "type": "number"}],
        },
    ),
    Resource(
        kind="sub_category",
        path="/sub-categories",
        noun="sub-category",
        plural="sub-categories",
        writer=Role.EDITOR,
        filters=sub_category_filters,
        fields={"id": "sub_premium", "name": "Premium cards", "categoryId": "cat_cards"},
    ),
    Resource(
        kind="offer",
        path="/offers",
        noun="offer",
        plural="offers",
        writer=Role.EDITOR,
        filters=offer_filters,
        fields={
            "id": "off_abc123",
            "name": "Platinum Card Upgrade",
            "categoryId": "cat_cards",
            "priority": 70,
            "schedule": {"startAt": "2026-03-01T00:00:00Z", "endAt": "2026-04-01T00:00:00Z"},
            "frequencyCaps": {"daily": 1, "weekly": 3},
            "tags": ["upgrade"],
            "customFields": {"apr": 12.9},
        },
    ),
    Resource(
        kind="creative",
        path="/creatives",
        noun="creative",
        plural="creatives",
        writer=Role.EDITOR,
        filters=creative_filters,
        fields={
            "id": "cr_001",
            "name": "Email Hero Variant A",
            "offerId": "off_abc123",
            "channelId": "ch_email",
            "templateType": "email_html",
            "content": {"subject": "{first_name}, an upgrade for you", "ctaUrl": "https://example.com/upgrade"},
            "personalization": [{"variable": "first_name", "source": "customer.first_name", "fallback": "Hello"}],
            "weight": 50,
            "abTestVariant": "A",
        },
    ),
    Resource(
        kind="contact_policy",
        path="/contact-policies",
        noun="contact policy",
        plural="contact policies",
        writer=Role.ADMIN,
        filters=policy_filters,
        fields={
            "id": "cp_daily",
            "name": "Three a day",
            "ruleType": "frequency_cap",
            "scope": "global",
            "config": {"maxPerDay": 3},
            "priority": 80,
        },
    ),
    Resource(
        kind="suppression_rule",
        path="/suppression-rules",
        noun="suppression rule",
        plural="suppression rules",
        writer=Role.ADMIN,
        filters=suppression_filters,
        fields={
            "id": "sr_dismissed",
            "name": "Dismissed",
            "outcomes": ["dismiss", "not_interested"],
            "scope": "category",
            "days": 30,
        },
    ),
    Resource(
        kind="qualification_rule",
        path="/qualification-rules",
        noun="qualification rule",
        plural="qualification rules",
        writer=Role.ADMIN,
        filters=rule_filters,
        fields={
            "id": "qr_adults",
            "name": "Adults only",
            "ruleType": "attribute_condition",
            "config": {"attribute": "age", "operator": "gte", "value": 18},
        },
    ),
    Resource(
        kind="decision_flow",
        path="/decision-flows",
        noun="decision flow",
        plural="decision flows",
        writer=Role.EDITOR,
        filters=key_filters,
        fields={
            "id": "flow_home",
            "key": "home-page",
            "name": "Home page",
            "draft": [
                {"id": "inventory", "type": "inventory", "config": {"scope": "all"}},
                {"id": "policies", "type": "contact_policy"},
                {"id": "score", "type": "score", "config": {"method": "priority_weighted"}},
                {"id": "rank", "type": "rank", "config": {"method": "top_score", "maxCandidates": 3}},
                {"id": "response", "type": "response"},
            ],
            "routes": [{"channelId": "ch_web"}],
        },
    ),
    Resource(
        kind="ranking_profile",
        path="/ranking-profiles",
        noun="ranking profile",
        plural="ranking profiles",
        writer=Role.EDITOR,
        filters=key_filters,
        fields={
            "id": "rp_margin",
            "key": "margin-first",
            "name": "Margin first",
            "weights": {"propensity": 0.3, "impact": 0.7},
        },
    ),
    Resource(
        kind="experiment",
        path="/experiments",
        noun="experiment",
        plural="experiments",
        writer=Role.EDITOR,
        filters=key_filters,
        fields={
            "id": "exp_models",
            "key": "models-spring",
            "name": "Models, spring",
            "championModelId": "mod_a",
            "trafficSplit": {"championPct": 80},
            "challengers": [{"modelId": "mod_b", "trafficPct": 20}],
            "holdoutPercent": 5,
        },
    ),
    Resource(
        kind="model",
        path="/algorithm-models",
        noun="model",
        plural="models",
        writer=Role.EDITOR,
        filters=model_filters,
        fields={
            "id": "mod_a",
            "key": "credit-first",
            "name": "Credit first",
            "modelType": "scorecard",
            "config": {"baseScore": 50, "rules": []},
        },
    ),
    Resource(
        kind="metric",
        path="/behavioral-metrics",
        noun="behavioral metric",
        plural="behavioral metrics",
        writer=Role.EDITOR,
        filters=key_filters,
        fields={
            "id": "met_clicks",
            "key": "clicks-30d",
            "name": "Clicks of 30 days",
            "windowDays": 30,
            "filterConditions": {"outcome": ["click"]},
        },
    ),
)
