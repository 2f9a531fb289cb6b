"""Filters of the lists of each kind, beyond status and name."""

from __future__ import annotations

from typing import Annotated

from api.http.errors import invalid
from api.http.parameters import check_choice, same, text_parameter
from rapport.domain.faults import Fault

Filters = dict[str, str]
"""Attribute -> value."""


def _given(**values: str | None) -> Filters:
    return {name: value for name, value in values.items() if value}


def no_filters() -> Filters:
    """Read no filters."""
    return {}


def channel_filters(
    channel_type: Annotated[str | None, text_parameter("channelType", "Of this type, such as email.")] = None,
) -> Filters:
    """Read the filters of channels."""
    return _given(channel_type=channel_type)


def placement_filters(
    channel_id: Annotated[str | None, text_parameter("channelId", "Of this channel.")] = None,
) -> Filters:
    """Read the filters of placements."""
    return _given(channel_id=channel_id)


def sub_category_filters(
    category_id: Annotated[str | None, text_parameter("categoryId", "Of this category.")] = None,
) -> Filters:
    """Read the filters of sub-categories."""
    return _given(category_id=category_id)


def offer_filters(
    category_id: Annotated[str | None, text_parameter("categoryId", "Of this category.")] = None,
    sub_category_id: Annotated[str | None, text_parameter("subCategoryId", "Of this sub-category.")] = None,
    product_type: Annotated[str | None, text_parameter("productType", "Of this product type.")] = None,
    tag: Annotated[str | None, text_parameter("tag", "With this tag.")] = None,
) -> Filters:
    """Read the filters of offers."""
    return _given(category_id=category_id, sub_category_id=sub_category_id, product_type=product_type, tags=tag)


def creative_filters(
    offer_id: Annotated[str | None, text_parameter("offerId", "Of this offer.")] = None,
    action_id: Annotated[str | None, text_parameter("actionId", "Older name of offerId.")] = None,
    channel_id: Annotated[str | None, text_parameter("channelId", "On this channel.")] = None,
    placement_id: Annotated[str | None, text_parameter("placementId", "For this placement.")] = None,
) -> Filters:
    """Read the filters of creatives."""
    faults: list[Fault] = []
    offer = same("offerId", offer_id, "actionId", action_id, faults)
    if faults:
        raise invalid(*faults)
    return _given(offer_id=offer, channel_id=channel_id, placement_id=placement_id)


def policy_filters(
    rule_type: Annotated[str | None, text_parameter("ruleType", "Of this type, such as frequency_cap.")] = None,
    applies_to: Annotated[str | None, text_parameter("scope", "With this scope, such as offer.")] = None,
    scope_id: Annotated[str | None, text_parameter("scopeId", "Applied to this offer, channel …")] = None,
) -> Filters:
    """Read the filters of contact policies."""
    return _given(rule_type=rule_type, scope=applies_to, scope_id=scope_id)


def rule_filters(
    stage: Annotated[str | None, text_parameter("stage", "eligibility, fit or match.")] = None,
    rule_type: Annotated[str | None, text_parameter("ruleType", "Of this type, such as segment_required.")] = None,
    applies_to: Annotated[str | None, text_parameter("scope", "With this scope, such as offer.")] = None,
    scope_id: Annotated[str | None, text_parameter("scopeId", "Applied to this offer, channel …")] = None,
) -> Filters:
    """Read the filters of qualification rules."""
    faults: list[Fault] = []
    stage = check_choice("stage", stage, ("eligibility", "fit", "match", "ranking"), faults)
    if faults:
        raise invalid(*faults)
    return _given(stage=stage, rule_type=rule_type, scope=applies_to, scope_id=scope_id)


def suppression_filters(
    applies_to: Annotated[str | None, text_parameter("scope", "With this scope: global, offer or category.")] = None,
) -> Filters:
    """Read the filters of suppression rules."""
    return _given(scope=applies_to)


def segment_filters(
    combinator: Annotated[
        str | None, text_parameter("combinator", "AND: all filters have to hold; OR: one of them.")
    ] = None,
) -> Filters:
    """Read the filters of segments."""
    return _given(combinator=combinator)


def key_filters(key: Annotated[str | None, text_parameter("key", "With this key.")] = None) -> Filters:
    """Read the filters of kinds with keys."""
    return _given(key=key)


def model_filters(
    key: Annotated[str | None, text_parameter("key", "With this key.")] = None,
    model_type: Annotated[str | None, text_parameter("modelType", "Of this type, such as scorecard.")] = None,
) -> Filters:
    """Read the filters of models."""
    return _given(key=key, model_type=model_type)
