"""Checks of candidates by type of contact policy; each ``compile`` function returns the check for a config."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from rapport.domain.conditions import CompiledCondition, Condition, compile_condition
from rapport.domain.decisions.eligibility.policy_configs import (
    BudgetConfig,
    CapConfig,
    CategoryConfig,
    CooldownConfig,
    ExclusionConfig,
    HoursConfig,
    MetricConfig,
    OutcomeConfig,
    OverrideConfig,
    SegmentConfig,
)
from rapport.domain.decisions.facts import EVERYTHING, Counts, Selection
from rapport.domain.decisions.verdict import PASSED, Verdict
from rapport.domain.decisions.windows import WindowZone
from rapport.domain.periods import DAY_MS

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate, Context
    from rapport.domain.decisions.eligibility.scopes import ScopeMembers

Check = Callable[["Candidate", "Context", Selection, str], Verdict]
"""Check of a candidate, given the selection of contacts that count and a description of the scope."""
LiftTime = Callable[["Candidate", "Context"], int]
"""Time at which an operator last lifted a suppression of a candidate, epoch milliseconds; 0 for never."""
_HOUR_MS: Final = 3_600_000


def _select_count(counts: Counts, what: str) -> int:
    if what == "impressions":
        return counts.impressions
    if what == "positive":
        return counts.positive
    if what == "converts":
        return counts.converts
    responses = counts.positive + counts.negative + counts.neutral
    return responses if what == "responses" else responses + counts.impressions


def compile_cap(config: CapConfig, _members: ScopeMembers) -> Check:
    """Return a check that blocks once the maximum of a window is reached."""
    limits = config.list_limits()

    def check(_candidate: Candidate, context: Context, selection: Selection, scope: str) -> Verdict:
        for window, most in limits:
            actual = _select_count(context.history.count(window, selection), config.counts)
            if actual >= most:
                detail = {"period": str(window), "max": most, "actual": actual, "counts": config.counts}
                return Verdict(True, f"cap reached: {actual}/{most} {config.counts} in {window} at {scope}", detail)
        return PASSED

    return check


def compile_cap_over_everything(config: CapConfig, members: ScopeMembers) -> Check:
    """Return a check like :func:`compile_cap` that counts over all offers and channels, whatever the scope."""
    inner = compile_cap(config, members)
    return lambda candidate, context, _selection, _scope: inner(candidate, context, EVERYTHING, "all channels")


def compile_cooldown(config: CooldownConfig, _members: ScopeMembers) -> Check:
    """Return a check that blocks for some hours after a contact."""

    def check(_candidate: Candidate, context: Context, selection: Selection, scope: str) -> Verdict:
        last_ms = context.history.find_latest_contact(selection)
        if last_ms is None:
            return PASSED
        hours = (context.now_ms - last_ms) / _HOUR_MS
        if hours >= config.cooldown_hours:
            return PASSED
        detail = {"cooldownHours": config.cooldown_hours, "hoursSinceLast": round(hours, 2)}
        return Verdict(True, f"contacted {hours:.1f} h ago, {config.cooldown_hours:g} h must pass at {scope}", detail)

    return check


def compile_budget(config: BudgetConfig, _members: ScopeMembers) -> Check:
    """Return a check that blocks once a share of one of the offer's own budgets is used up."""

    def check(candidate: Candidate, context: Context, _selection: Selection, _scope: str) -> Verdict:
        for field, used, most in list_budgets(candidate, context):
            if most is not None and used >= most * config.threshold:
                detail = {"budgetField": field, "threshold": most * config.threshold, "actual": used}
                return Verdict(True, f"budget used up: {field} {used:g} of {most:g}", detail)
        return PASSED

    return check


def list_budgets(candidate: Candidate, context: Context) -> Sequence[tuple[str, float, float | None]]:
    """Return the budgets of an offer: field, amount used, and limit (None for no limit); impressions or cents."""
    budget, offer_id = candidate.offer.budget, candidate.offer.id
    today, ever = context.tenant.shown_today.get(offer_id, 0), context.tenant.shown.get(offer_id, 0)
    cost = budget.cost_per_impression_cents
    return (
        ("maxPerDay", today, budget.max_per_day),
        ("maxTotal", ever, budget.max_total),
        ("dailyCapCents", today * cost, budget.daily_cap_cents),
        ("lifetimeCapCents", ever * cost, budget.lifetime_cap_cents),
    )


def compile_outcome(config: OutcomeConfig, _members: ScopeMembers, lifted_ms: LiftTime | None = None) -> Check:
    """Return a check that blocks for some days after an outcome, unless the suppression was ended or lifted since."""

    def check(candidate: Candidate, context: Context, selection: Selection, scope: str) -> Verdict:
        if context.history.find_latest_outcome(config.outcomes, selection) is None:
            return PASSED  # nearly always: look for an end only of what there is
        granted_ms = context.customer.endings.granted_ms
        ended = context.history.find_latest_outcome(config.ended_by, selection)
        ended_ms = max(
            0 if ended is None else ended[1],
            0 if lifted_ms is None else lifted_ms(candidate, context),
            *(granted_ms.get(purpose, 0) for purpose in config.ended_by_consent),
        )
        return _check_recent_outcome(context, config.outcomes, selection, config.suppress_for_days, scope, ended_ms)

    return check


def _check_recent_outcome(
    context: Context, outcomes: Sequence[str], selection: Selection, days: float, scope: str, ended_ms: int = 0
) -> Verdict:
    latest = context.history.find_latest_outcome(outcomes, selection)
    if latest is None:
        return PASSED
    outcome, then_ms = latest
    if context.now_ms - then_ms >= days * DAY_MS or then_ms < ended_ms <= context.now_ms:
        return PASSED
    since = (context.now_ms - then_ms) / DAY_MS
    detail = {"afterOutcome": outcome, "suppressForDays": days, "daysSince": round(since, 2)}
    return Verdict(True, f"{outcome} {since:.1f} days ago, left alone for {days:g} days at {scope}", detail)


def compile_segments(config: SegmentConfig, _members: ScopeMembers) -> Check:
    """Return a check that blocks customers in an excluded segment."""
    excluded = frozenset(config.exclude_segments)

    def check(_candidate: Candidate, context: Context, _selection: Selection, _scope: str) -> Verdict:
        matched = sorted(excluded & context.segments)
        if not matched:
            return PASSED
        detail = {"excludeSegments": sorted(excluded), "matchedSegment": matched[0]}
        return Verdict(True, f"the customer is in excluded segment {matched[0]}", detail)

    return check


def compile_hours(config: HoursConfig, _members: ScopeMembers) -> Check:
    """Return a check that blocks outside the allowed weekdays and hours."""
    days = frozenset(config.allowed_days)

    def check(_candidate: Candidate, context: Context, _selection: Selection, _scope: str) -> Verdict:
        zone = context.tenant.time_zone
        if config.time_zone is WindowZone.CUSTOMER:
            unknown = context.customer.unknown_zone
            if unknown:
                return Verdict(True, f"no contacts while the customer's time zone {unknown!r} is not known")
            zone = context.customer.time_zone or zone
        now = datetime.fromtimestamp(context.now_ms / 1000, UTC).astimezone(ZoneInfo(zone))
        spans_midnight = config.start_hour >= config.end_hour
        is_after, is_before = now.hour >= config.start_hour, now.hour < config.end_hour
        is_open = (is_after or is_before) if spans_midnight else (is_after and is_before)
        if is_open and now.isoweekday() in days:
            return PASSED
        detail = {
            "allowedDays": sorted(days),
            "currentDay": now.isoweekday(),
            "startHour": config.start_hour,
            "endHour": config.end_hour,
            "currentHour": now.hour,
        }
        return Verdict(True, f"no contacts on weekday {now.isoweekday()} at {now:%H:%M} ({zone})", detail)

    return check


def compile_exclusion(config: ExclusionConfig, _members: ScopeMembers) -> Check:
    """Return a check that blocks offers of a group for some days after a contact about another offer of the group."""
    group = frozenset(config.offer_group)
    others_of_offer = {offer_id: Selection(offers=group - {offer_id}) for offer_id in group}

    def check(candidate: Candidate, context: Context, _selection: Selection, _scope: str) -> Verdict:
        others = others_of_offer.get(candidate.offer.id)
        if others is None:
            return PASSED
        last_ms = context.history.find_latest_contact(others)
        if last_ms is None or context.now_ms - last_ms >= config.within_days * DAY_MS:
            return PASSED
        times = {s.offer_id: at for s, at in context.customer.last_contact_ms.items() if others.covers(s)}
        rival = max(times, key=lambda offer_id: (times[offer_id], offer_id)) if times else ""
        detail = {"offerGroup": sorted(group), "conflictingOfferId": rival}
        return Verdict(True, f"another offer of the group was shown: {rival or 'a moment ago'}", detail)

    return check


def compile_override(config: OverrideConfig, _members: ScopeMembers) -> Check:
    """Return a check whose blocking verdict means that all conditions hold and the candidate skips all policies."""
    tests: Sequence[CompiledCondition] = [compile_condition(condition) for condition in config.conditions]

    def check(candidate: Candidate, context: Context, _selection: Selection, _scope: str) -> Verdict:
        if all(test.holds(context.lookup(test.field, candidate)) for test in tests):
            return Verdict(True, "its conditions hold: allowed past all policies")
        return PASSED

    return check


def compile_category(config: CategoryConfig, members: ScopeMembers) -> Check:
    """Return a check that blocks a category for some days after the customer refused one of its offers."""
    by_subcategory = config.sub_category_id is not None
    wanted = config.sub_category_id if by_subcategory else config.category_id
    groups = members.offers_of_subcategory if by_subcategory else members.offers_of_category
    selections = {group: Selection(offers=offers) for group, offers in groups.items() if group}

    def check(candidate: Candidate, context: Context, _selection: Selection, _scope: str) -> Verdict:
        own = candidate.offer.sub_category_id if by_subcategory else candidate.offer.category_id
        if not own or own not in selections or wanted not in (None, own):
            return PASSED
        where = f"category {own}"
        verdict = _check_recent_outcome(context, config.after_outcome, selections[own], config.suppression_days, where)
        if not verdict.is_blocked:
            return PASSED
        detail = {"categoryId": candidate.offer.category_id, "subCategoryId": config.sub_category_id}
        return Verdict(True, verdict.reason, {**detail, **(verdict.detail or {})})

    return check


def compile_metric(config: MetricConfig, _members: ScopeMembers) -> Check:
    """Return a check that blocks while a behavioral metric fulfils the condition."""
    test = compile_condition(Condition(field=config.metric, operator=config.operator, value=config.value))

    def check(_candidate: Candidate, context: Context, _selection: Selection, _scope: str) -> Verdict:
        actual = context.customer.metrics.get(config.metric)
        if (actual is None and not test.tests_presence) or not test.holds(actual):
            return PASSED
        detail = {"metric": config.metric, "operator": config.operator, "expected": config.value, "actual": actual}
        return Verdict(True, f"metric {config.metric} is {actual}", detail)

    return check
