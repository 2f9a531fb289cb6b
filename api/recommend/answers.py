"""Recommendations as callers read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from api.http.times import iso
from api.recommend.schemas import (
    Meta,
    Recommendation,
    RecommendedChannel,
    RecommendedCreative,
    RecommendedItem,
    RecommendedOffer,
    Timing,
    TopScore,
    TraceSummary,
)
from rapport.domain.decisions.removal_groups import find_empty_reason, group_removals, list_fault_warnings

if TYPE_CHECKING:
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.decision import Decision, DecisionItem
    from rapport.domain.decisions.record import DecisionRecord

TOP_SCORES: Final = 10
SHOWN_REMOVALS: Final = 200


def answer(
    record: DecisionRecord,
    catalogue: Catalogue,
    timing: Timing,
    *,
    interaction_ids: Sequence[str] = (),
    is_debugging: bool = False,
    warnings: Sequence[str] = (),
) -> Recommendation:
    """Write a decision as the answer to the caller.

    Args:
        record: The decision.
        catalogue: By which it was made.
        timing: Where the time went.
        interaction_ids: Of the items' rows; none in a dry run.
        is_debugging: Whether to explain.
        warnings: Come before the warnings of the decision itself.
    """
    decision = record.decision
    losses = group_removals(decision)
    ids: Sequence[str | None] = interaction_ids or [None] * len(decision.items)
    return Recommendation(
        recommendation_id=record.recommendation_id,
        customer_id=record.customer_id,
        count=len(decision.items),
        decisions=[_item(item, one, catalogue) for item, one in zip(decision.items, ids, strict=True)],
        meta=Meta(
            decision_flow_key=decision.flow_key,
            decision_flow_version=decision.flow_version,
            total_candidates=decision.funnel.candidate_count,
            catalogue=record.catalogue,
            decided_at=iso(record.decided_at_ms),
            data_lag_ms=record.watermark.lag_ms,
            timing=timing,
            warnings=[*warnings, *decision.trace.problems, *list_fault_warnings(losses)],
            not_shown=losses,
            empty_reason=find_empty_reason(decision),
            funnel=decision.funnel if is_debugging else msgspec.UNSET,
        ),
        experiments=decision.experiments,
        degraded_scoring=decision.degraded_scoring,
        control_group=decision.control_group,
        placement_results=decision.placement_results,
        channel_coupling=decision.trace.coupling,
        trace_summary=summarise(decision) if is_debugging else msgspec.UNSET,
    )


def summarise(decision: Decision) -> TraceSummary:
    """Write a decision's trace in short."""
    scores = sorted(decision.trace.scores, key=lambda one: (-one.score, one.offer_id))
    return TraceSummary(
        total_candidates=decision.funnel.candidate_count,
        after_qualification=decision.funnel.after_qualification,
        after_contact_policy=decision.funnel.after_contact_policy,
        final_count=decision.funnel.final_count,
        top_scores=[TopScore(offer_id=one.offer_id, score=one.score) for one in scores[:TOP_SCORES]],
        removals=[msgspec.to_builtins(one) for one in decision.trace.removals[:SHOWN_REMOVALS]],
        problems=decision.trace.problems,
    )


def _item(item: DecisionItem, interaction_id: str | None, catalogue: Catalogue) -> RecommendedItem:
    return RecommendedItem(
        offer_id=item.offer_id,
        offer_name=item.offer_name,
        category_id=item.category_id,
        category_name=item.category_name,
        creative_id=item.creative_id,
        creative_name=item.creative_name,
        channel_id=item.channel_id,
        channel_type=item.channel_type,
        placement_id=item.placement_id,
        score=item.score,
        rank=item.rank,
        propensity=item.propensity,
        propensity_kind=item.propensity_kind,
        content=item.content,
        personalization=item.personalization,
        properties=item.properties,
        interaction_id=interaction_id,
        offer=_offer(item, catalogue),
        creative=_creative(item, catalogue),
        channel=_channel(item, catalogue),
    )


def _offer(item: DecisionItem, catalogue: Catalogue) -> RecommendedOffer | None:
    offer = catalogue.offers.get(item.offer_id)
    if offer is None:
        return None
    return RecommendedOffer(
        id=offer.id,
        name=offer.name,
        category_id=item.category_id,
        category_name=item.category_name,
        sub_category_id=offer.sub_category_id,
        priority=offer.priority,
        tags=offer.tags,
        custom_fields=offer.custom_fields,
    )


def _creative(item: DecisionItem, catalogue: Catalogue) -> RecommendedCreative | None:
    creatives = catalogue.creatives.get(item.offer_id, ())
    creative = next((one for one in creatives if one.id == item.creative_id), None)
    if creative is None:
        return None
    return RecommendedCreative(
        id=creative.id,
        name=creative.name,
        template_type=creative.template_type,
        placement_id=creative.placement_id,
        ab_test_variant=creative.ab_test_variant,
    )


def _channel(item: DecisionItem, catalogue: Catalogue) -> RecommendedChannel | None:
    channel = catalogue.channels.get(item.channel_id or "")
    if channel is None:
        return None
    return RecommendedChannel(
        id=channel.id,
        name=channel.name,
        channel_type=channel.channel_type,
        impression_tracking=channel.impression_tracking,
    )
