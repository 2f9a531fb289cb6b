"""Kinds of entities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rapport.domain.catalogue.customer_schema import CustomerSchema
from rapport.domain.catalogue.inventory import Category, Channel, Creative, Offer, Placement, SubCategory
from rapport.domain.catalogue.strategy import (
    ContactPolicy,
    DecisionFlow,
    Experiment,
    MetricDefinition,
    Model,
    QualificationRule,
    RankingProfile,
)
from rapport.domain.catalogue.suppression import SuppressionRule
from rapport.domain.catalogue.values import Entity
from rapport.domain.journeys.definition import Journey
from rapport.domain.profiles.segments import Segment

KINDS: Final[Mapping[str, type[Entity]]] = {
    "category": Category,
    "sub_category": SubCategory,
    "channel": Channel,
    "placement": Placement,
    "offer": Offer,
    "creative": Creative,
    "qualification_rule": QualificationRule,
    "contact_policy": ContactPolicy,
    "suppression_rule": SuppressionRule,
    "ranking_profile": RankingProfile,
    "model": Model,
    "experiment": Experiment,
    "metric": MetricDefinition,
    "decision_flow": DecisionFlow,
    "customer_schema": CustomerSchema,
    "segment": Segment,
    "journey": Journey,
}
"""Type of each kind; ordered so that each kind refers only to kinds before it or to itself."""
