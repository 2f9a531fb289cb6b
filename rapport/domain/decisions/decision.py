"""What a decision came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rapport.domain.decisions.trace import Trace


class DecisionItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One recommended offer.

    Attributes:
        rank: 1 for the first; counts on over the placements of a request.
        propensity: The probability with which this offer was shown, given what the decision knew.
        content: The creative's texts, rendered.
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


class PlacementResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one placement of a request got."""

    placement_id: str | None
    channel_id: str | None
    count: int


class ExperimentRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which arm of an experiment a customer is in."""

    experiment_id: str
    experiment_key: str
    variant: str


class Funnel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many candidates were left after each gate, over all placements of the request.

    Attributes:
        candidate_count: Offers with creatives, before rules and policies.
    """

    candidate_count: int
    after_qualification: int
    after_contact_policy: int
    final_count: int


class Decision(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A decision with its reasons.

    Attributes:
        control_group: Whether the customer is held out and got the fallback.
        degraded_scoring: Whether a model was left out because it failed.
        failed_models: Keys of these models, those of open circuits included.
        seed: Of all chance in it.
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
