"""Eligibility on the wire: offers for a customer, now or at a past decision, with reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from rapport.domain.decisions.explain import RuleStatus
from rapport.domain.decisions.trace import Removal


class RuleResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Verdict of one qualification rule about an offer.

    Attributes:
        status: passed, blocked, or skipped where its scope does not cover the offer.
        is_soft: Whether failing makes the score smaller instead of removing the offer.
    """

    rule_id: str
    rule_name: str
    rule_type: str
    scope: str
    status: RuleStatus
    eligible: bool
    is_soft: bool
    reason: str
    detail: Mapping[str, Any]


class PolicyResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Verdict of one contact policy about an offer; ``consent`` and ``offer_limits`` are listed like policies."""

    policy_id: str
    policy_name: str
    rule_type: str
    scope: str
    status: RuleStatus
    blocked: bool
    reason: str
    detail: Mapping[str, Any]


class OfferEligibility(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One offer for a customer.

    Attributes:
        primary_reason: The first objection.
        score: priority / 100; scores of flows are in decisions.
        rank: Among the eligible, by priority, from 1; null for the others.
    """

    offer_id: str
    offer_name: str
    category: str | None
    sub_category: str | None
    priority: int
    eligible: bool
    primary_reason: str
    score: float
    rank: int | None
    schedule_blocked: bool
    schedule_reason: str | None
    qualification_passed: bool
    failed_rules: Sequence[RuleResult]
    passed_rules: Sequence[RuleResult]
    all_rule_results: Sequence[RuleResult]
    contact_policy_blocked: bool
    blocked_policies: Sequence[PolicyResult]
    all_policy_results: Sequence[PolicyResult]
    has_creatives: bool
    creative_count: int


class EligibilitySummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Number of offers by state; an ineligible one may be counted under several reasons."""

    total_offers: int
    eligible_count: int
    ineligible_count: int
    failed_qualification: int
    blocked_by_contact_policy: int
    blocked_by_schedule: int
    no_creatives: int


class Eligibility(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All active offers for a customer.

    Attributes:
        customer: Attributes of the customer.
        recommendation_id: The past decision whose facts and catalogue were taken; null: now.
    """

    customer_id: str
    customer: Mapping[str, Any]
    evaluated_at: str
    recommendation_id: str | None
    summary: EligibilitySummary
    offers: Sequence[OfferEligibility]


class AtDecision(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Part of an offer in a decision.

    Attributes:
        rank: Where it was shown; null: it was not.
        removals: Removals of it, creative by creative.
        score: Its score, if it was scored.
    """

    shown: bool
    rank: int | None
    score: float | None
    removals: Sequence[Removal]


class WhyNot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Explanation of one offer for a customer.

    Attributes:
        summary: The verdict in words.
        objections: All reasons against it.
        decision: Its part in the requested past decision.
    """

    customer_id: str
    offer_id: str
    offer_name: str
    offer_status: str
    creative_count: int
    evaluated_at: str
    recommendation_id: str | None
    verdict: Literal["eligible", "blocked"]
    summary: str
    objections: Sequence[str]
    qualification: Sequence[RuleResult]
    contact_policy: Sequence[PolicyResult]
    decision: AtDecision | None = None
