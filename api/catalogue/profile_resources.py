"""Configuration about customers as resources: schemas, segments and journeys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from api.catalogue.filters import key_filters, no_filters, segment_filters
from api.catalogue.resource import Extras, Resource
from api.segments.extras import load_segment_extras
from rapport.domain.api_keys import Role

PROFILE_RESOURCES: Final[Sequence[Resource]] = (
    Resource(
        kind="customer_schema",
        path="/schemas",
        noun="customer schema",
        plural="customer schemas",
        writer=Role.EDITOR,
        filters=key_filters,
        fields={
            "id": "sch_customers",
            "key": "customers",
            "name": "Customers",
            "fields": [
                {"name": "tier", "displayName": "Tier", "dataType": "text", "required": True, "isPredictor": True},
                {"name": "age", "dataType": "number"},
                {"name": "newsletter", "dataType": "boolean", "defaultValue": False},
            ],
            "additionalAttributes": False,
        },
        tag="Customers",
    ),
    Resource(
        kind="segment",
        path="/segments",
        noun="segment",
        plural="segments",
        writer=Role.EDITOR,
        filters=segment_filters,
        fields={
            "id": "seg_001",
            "name": "High Value",
            "filters": [
                {"field": "customer.tier", "operator": "in", "value": ["gold", "platinum"]},
                {"field": "summary.totalValue", "operator": "gte", "value": 500},
            ],
            "combinator": "AND",
        },
        tag="Segments",
        extras=Extras(load_segment_extras, {"customerCount": 1204, "lastRefreshedAt": "2026-03-15T14:30:00.000Z"}),
    ),
    Resource(
        kind="journey",
        path="/journeys",
        noun="journey",
        plural="journeys",
        writer=Role.EDITOR,
        filters=no_filters,
        fields={
            "id": "jrn_welcome",
            "name": "Welcome",
            "entryCondition": {"outcomes": ["convert"]},
            "definition": {
                "steps": [
                    {"id": "pause", "type": "wait", "config": {"duration": 3, "unit": "days"}},
                    {"id": "choose", "type": "decide", "config": {"maxOffers": 1, "storeResultAs": "best"}},
                    {"id": "send", "type": "send", "config": {"fromResult": "best"}},
                ]
            },
            "maxDurationDays": 30,
        },
        tag="Journeys",
    ),
)
