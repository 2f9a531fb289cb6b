"""Recommendations on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from api.http.bodies import Body
from rapport.domain.decisions.decision import ExperimentRecord, Funnel, PlacementResult
from rapport.domain.decisions.removal_groups import EmptyReason, RemovalGroup
from rapport.domain.decisions.trace import CouplingRecord
from rapport.domain.decisions.valuation import PropensityKind

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
MAX_LIMIT: Final = 50
MAX_PLACEMENTS: Final = 20
ALIASES: Final[Mapping[str, str]] = {
    "blueprintKey": "decisionFlowKey",
    "decisionFlowId": "decisionFlowKey",
    "maxOffers": "limit",
    "trace": "debug",
    "placementId": "placement",
}


class WantedPlacement(Body, frozen=True):
    """One placement of a request for several.

    Attributes:
        placement: Its id or key.
        channel_id: By default the channel of the placement.
        limit: How many offers it takes; by default as many as it has slots.
    """

    placement: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    channel_id: Text | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] | None = None


class RecommendBody(Body, frozen=True):
    """Request for recommendations.

    Attributes:
        customer_id: Left out, or ``anonymous``: a stable id is made of the session, else of address and browser.
        decision_flow_key: Key, or id, of the flow to run; by default the flow of the channel and placement.
        limit: How many offers at most.
        channel: A channel by its type (email, web …), its id or its name.
        channel_id: A channel by its id.
        placement: A placement by its id or key.
        placements: Several placements at once; each is decided for itself.
        deduplicate: Whether an offer may be in one of the placements only. Without it that is so where the flow's
            group node says ``optimal``, and not elsewhere.
        attributes: ``attributes.*`` of formulas and rules; ``customer.*`` where a schema's ``source`` says so.
            ``propensityScores`` among them are scores by offer id of models of your own; ``timeZone`` is the
            customer's time zone.
        segments: Groups of your own that the customer is in; those of the catalogue are worked out.
        context: Stored with the interactions, up to 8 KiB.
        levers: Factors by offer or category id, for this request.
        session_id: Session of an anonymous customer.
        debug: Whether the answer explains itself.
    """

    ALIASES: ClassVar[Mapping[str, str]] = ALIASES

    customer_id: Text | None = None
    decision_flow_key: Text | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = 5
    channel: Text | None = None
    channel_id: Text | None = None
    placement: Text | None = None
    placements: Annotated[Sequence[WantedPlacement], msgspec.Meta(max_length=MAX_PLACEMENTS)] = ()
    deduplicate: bool | None = None
    attributes: Mapping[str, Any] = {}
    segments: Sequence[Text] = ()
    context: Mapping[str, Any] = {}
    exclude_offers: Sequence[Text] = ()
    exclude_creatives: Sequence[Text] = ()
    levers: Mapping[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    session_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")] | None = None
    locale: Annotated[str, msgspec.Meta(max_length=35)] | None = None
    currency: Annotated[str, msgspec.Meta(max_length=3)] | None = None
    debug: bool = False


class RecommendedOffer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The offer of a decision."""

    id: str
    name: str
    category_id: str | None
    category_name: str | None
    sub_category_id: str | None
    priority: int
    tags: Sequence[str]
    custom_fields: Mapping[str, Any]


class RecommendedCreative(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The creative of a recommended offer."""

    id: str
    name: str
    template_type: str
    placement_id: str | None
    ab_test_variant: str | None


class RecommendedChannel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The channel of a recommended offer."""

    id: str
    name: str
    channel_type: str | None
    impression_tracking: str


class RecommendedItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One recommended offer.

    Attributes:
        rank: 1 for the first; with the recommendation's id it names this decision to Respond.
        score: After arbitration.
        propensity: The probability with which this offer was shown at this rank, given the items before it and the
            arms of experiments that the customer is in.
        propensity_kind: ``exact``, ``estimated`` by further draws of a model that explores, or ``floor``: in none of
            them.
        content: The creative's texts, rendered.
        personalization: Computed values.
        interaction_id: Of the row ``recommendation`` in the history; null in a dry run.
    """

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
    rank: int
    propensity: float
    propensity_kind: PropensityKind
    content: Mapping[str, str]
    personalization: Mapping[str, Any]
    properties: Mapping[str, Any]
    interaction_id: str | None
    offer: RecommendedOffer | None
    creative: RecommendedCreative | None
    channel: RecommendedChannel | None


class Timing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Time of each step, in milliseconds."""

    facts_ms: float
    decide_ms: float
    write_ms: float
    total_ms: float


class Meta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """About a decision.

    Attributes:
        catalogue: Stamp of the catalogue it was made by.
        data_lag_ms: Age of the facts at most; null where it is not known.
        funnel: How many candidates were left after each gate; with ``debug``.
        warnings: Parts of the request or the catalogue without effect; offers removed by faults of the catalogue.
        not_shown: Removed offers, by rule, policy or stage: up to 20 groups, the largest first.
        empty_reason: Why nothing is shown; null if something is. Of several stages, the one that took the last offer.
    """

    decision_flow_key: str
    decision_flow_version: int
    total_candidates: int
    catalogue: str
    decided_at: str
    data_lag_ms: int | None
    timing: Timing
    warnings: Sequence[str]
    not_shown: Sequence[RemovalGroup]
    empty_reason: EmptyReason | None
    funnel: Funnel | msgspec.UnsetType = msgspec.UNSET


class TopScore(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A candidate's score."""

    offer_id: str
    score: float


class TraceSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A decision explained in short; all of it is at ``/decision-traces/{recommendationId}``."""

    total_candidates: int
    after_qualification: int
    after_contact_policy: int
    final_count: int
    top_scores: Sequence[TopScore]
    removals: Sequence[Mapping[str, Any]]
    problems: Sequence[str]


class Recommendation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Recommended offers, with their reasons in short.

    Attributes:
        count: How many decisions follow; 0 when there is nothing to offer.
        decisions: The best first.
        experiments: In which arms of experiments the customer is.
        degraded_scoring: Whether a model was left out because it failed.
        control_group: Whether the customer is in a holdout and got the fallback.
        placement_results: How many offers each placement got.
        channel_coupling: Placements emptied because another one of their channel stayed empty.
    """

    recommendation_id: str
    customer_id: str
    count: int
    decisions: Sequence[RecommendedItem]
    meta: Meta
    experiments: Sequence[ExperimentRecord] = ()
    degraded_scoring: bool = False
    control_group: bool = False
    placement_results: Sequence[PlacementResult] = ()
    channel_coupling: Sequence[CouplingRecord] = ()
    trace_summary: TraceSummary | msgspec.UnsetType = msgspec.UNSET
