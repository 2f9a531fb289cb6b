"""Result of a decision: items, placements, funnel, experiments and trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rapport.domain.decisions.trace import Trace
from rapport.domain.decisions.valuation import PropensityKind


class DecisionItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One recommended offer.

    Attributes:
        rank: Position from 1; numbered through all placements of a request.
        propensity: Probability with which the decision shows this offer at this rank, given the items before it, the
            facts that it read and the arms that the customer is in.
        propensity_kind: How that is known: exact, estimated or floor (:mod:`.scoring.exploration`).
        content: Rendered texts of the creative.
    """

    rank: int
    offer_id: str
    offer_name: str
    category_id: str | None
    category_name: str | None
    creative_id: str | None
    creative_name: str | None
    channel_id: str | None
    channel_type: str | None
    placement_id: str | None
    score: float
    propensity: float
    content: Mapping[str, str]
    personalization: Mapping[str, Any]
    properties: Mapping[str, Any]
    variant: str | None = None
    propensity_kind: PropensityKind = "exact"


class PlacementResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Number of items in one placement of a request."""

    placement_id: str | None
    channel_id: str | None
    count: int


class ExperimentRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Arm of an experiment that the customer is in."""

    experiment_id: str
    experiment_key: str
    variant: str


class Funnel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Number of candidates left after each stage, summed over all placements of the request.

    Attributes:
        candidate_count: Offers with creatives, before rules and policies.
    """

    candidate_count: int
    after_qualification: int
    after_contact_policy: int
    final_count: int


class Decision(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Decision with its explanation.

    Attributes:
        control_group: Whether the customer is held out and gets the fallback.
        degraded_scoring: Whether scores lack a model that failed.
        failed_models: Keys of these models, those with an open circuit included.
        seed: Seed of all random draws in the decision.
    """

    flow_key: str
    flow_version: int
    items: Sequence[DecisionItem]
    funnel: Funnel
    placement_results: Sequence[PlacementResult]
    experiments: Sequence[ExperimentRecord]
    trace: Trace
    control_group: bool = False
    degraded_scoring: bool = False
    failed_models: Sequence[str] = ()
    seed: int = 0
