"""The first phase: from all offers to those that may be shown to this customer here and now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.strategy import RuleStage
from rapport.domain.decisions.candidates import Candidate, Context
from rapport.domain.decisions.conditions import Condition, compile_condition
from rapport.domain.decisions.facts import Selection
from rapport.domain.decisions.nodes import FilterConfig, InventoryConfig, MatchConfig, ModeConfig
from rapport.domain.decisions.policy_checks import budget_of
from rapport.domain.decisions.verdicts import Verdict
from rapport.domain.decisions.windows import Kind, Unit, Window

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Creative, Offer
    from rapport.domain.decisions.compiling import Catalogue
    from rapport.domain.decisions.traces import Recorder
    from rapport.domain.experiments.assignment import Assignment

_CALENDAR: Final = {unit: Window(Kind.CALENDAR, unit) for unit in (Unit.DAY, Unit.WEEK, Unit.MONTH)}


@dataclass(slots=True)
class Run:
    """A flow while it runs for one placement.

    Attributes:
        random: The run's only source of chance; its seed is kept with the decision.
        open_circuits: Keys of models that are not asked, because they failed lately.
        failed_models: Keys of models that failed in this run.
        assignments: The arms of experiments that the customer is in.
        node: The id of the node that runs.
    """

    catalogue: Catalogue
    context: Context
    recorder: Recorder
    candidates: list[Candidate]
    random: Random
    open_circuits: frozenset[str] = frozenset()
    failed_models: set[str] = field(default_factory=set)
    assignments: list[Assignment] = field(default_factory=list)
    node: str = ""

    def keep(self, stage: str, judge: Callable[[Candidate], tuple[str, str, Verdict] | None]) -> None:
        """Keep the candidates that a judge says nothing about; he says: by whom, its name, the verdict."""
        kept: list[Candidate] = []
        for candidate in self.candidates:
            objection = judge(candidate)
            if objection is None:
                kept.append(candidate)
            else:
                by, name, verdict = objection
                self.recorder.note_removal(stage, by, candidate, verdict, by_name=name)
        self.candidates = kept


def take_inventory(run: Run, config: InventoryConfig) -> None:
    """Begin with the offers of the catalogue that are in scope and on schedule."""
    excluded = run.context.request.excluded_offers
    for offer in sorted(run.catalogue.offers.values(), key=lambda one: one.id):
        if not _is_in_scope(offer, config) or offer.status.value not in config.include_statuses:
            continue
        candidate = Candidate(offer)
        problem = "excluded by the request" if offer.id in excluded else _off_schedule(offer, run.context.now_ms)
        if problem:
            run.recorder.note_removal("inventory", run.node, candidate, Verdict(True, problem))
        else:
            run.candidates.append(candidate)


def _is_in_scope(offer: Offer, config: InventoryConfig) -> bool:
    if offer.id in config.offer_ids:
        return True
    if config.scope == "category":
        return offer.category_id in config.category_ids
    if config.scope == "subcategory":
        return offer.sub_category_id in config.sub_category_ids
    return config.scope == "all"


def _off_schedule(offer: Offer, now_ms: int) -> str:
    start_ms, end_ms = _instant(offer.schedule.start_at), _instant(offer.schedule.end_at)
    if start_ms is not None and now_ms < start_ms:
        return f"its schedule begins at {offer.schedule.start_at}"
    if end_ms is not None and now_ms >= end_ms:
        return f"its schedule ended at {offer.schedule.end_at}"
    return ""


def _instant(text: str | None) -> float | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


def match_creatives(run: Run, config: MatchConfig) -> None:
    """Make a candidate of each offer with each creative that fits the request."""
    request = run.context.request
    matched: list[Candidate] = []
    for candidate in run.candidates:
        fitting = [
            creative
            for creative in run.catalogue.creatives.get(candidate.offer.id, ())
            if creative.id not in request.excluded_creatives and _fits(creative, run, config)
        ]
        matched += [
            Candidate(candidate.offer, creative, run.catalogue.channels[creative.channel_id]) for creative in fitting
        ]
        if not fitting and config.require_creative:
            reason = "no active creative fits the channel and the placement"
            run.recorder.note_removal("match_creatives", run.node, candidate, Verdict(True, reason))
        elif not fitting:
            matched.append(candidate)
    run.candidates = matched


def _fits(creative: Creative, run: Run, config: MatchConfig) -> bool:
    request = run.context.request
    if request.channel_id is not None and creative.channel_id != request.channel_id:
        return False
    channel = run.catalogue.channels[creative.channel_id]
    if request.channel_type is not None and channel.channel_type != request.channel_type:
        return False
    if request.placement_id is None or config.placement_match_mode == "none":
        return True
    if creative.placement_id == request.placement_id:
        return True
    return config.placement_match_mode == "any" and creative.placement_id is None


def qualify(run: Run, config: ModeConfig) -> None:
    """Apply qualification rules; those of stage match make the score smaller instead of removing."""
    rules = [rule for rule in run.catalogue.rules if config.mode == "all" or rule.entity.id in config.ids]

    def judge(candidate: Candidate) -> tuple[str, str, Verdict] | None:
        for rule in rules:
            verdict = rule.judge(candidate, run.context)
            if verdict is None or not verdict.is_blocked:
                continue
            if rule.entity.stage is not RuleStage.MATCH:
                return rule.entity.id, rule.entity.name, verdict
            candidate.fit *= rule.entity.multiplier
            candidate.explanation.setdefault("fit", []).append({"rule": rule.entity.id, "reason": verdict.reason})
        return None

    run.keep("qualify", judge)


def apply_policies(run: Run, config: ModeConfig) -> None:
    """Apply consent, the offers' own caps and budgets, and contact policies, highest priority first."""
    policies = [policy for policy in run.catalogue.policies if config.mode == "all" or policy.entity.id in config.ids]
    overrides = [policy for policy in policies if policy.overrides]
    blocking = [policy for policy in policies if not policy.overrides]
    context = run.context

    def judge(candidate: Candidate) -> tuple[str, str, Verdict] | None:
        if not context.customer.has_consent:
            return "consent", "Consent", Verdict(True, "the customer has not consented to being contacted")
        own = own_limits(candidate, context)
        if own is not None:
            return candidate.offer.id, candidate.offer.name, own
        if run.catalogue.broken:
            entity, fault = run.catalogue.broken[0]
            return entity.id, entity.name, Verdict(True, f"the policy cannot be evaluated: {fault}")
        for policy in overrides:
            verdict = policy.judge(candidate, context)
            if verdict is not None and verdict.is_blocked:
                candidate.explanation["override"] = policy.entity.id
                return None
        is_mandatory = is_mandatory_now(candidate.offer, context.now_ms)
        for policy in blocking:
            if is_mandatory and not policy.binds_mandatory:
                continue
            verdict = policy.judge(candidate, context)
            if verdict is not None and verdict.is_blocked:
                return policy.entity.id, policy.entity.name, verdict
        return None

    run.keep("contact_policy", judge)


def is_mandatory_now(offer: Offer, now_ms: int) -> bool:
    """Whether an offer goes first: it is mandatory, and that has not expired."""
    expires_ms = _instant(offer.mandatory_expires_at)
    return offer.mandatory and (expires_ms is None or now_ms < expires_ms)


def own_limits(candidate: Candidate, context: Context) -> Verdict | None:
    """The offer's own frequency caps and budgets."""
    offer, caps = candidate.offer, candidate.offer.frequency_caps
    mine = Selection(offers=frozenset((offer.id,)))
    for unit, most in ((Unit.DAY, caps.daily), (Unit.WEEK, caps.weekly), (Unit.MONTH, caps.monthly)):
        if most is None:
            continue
        shown = context.count(_CALENDAR[unit], mine).impressions
        if shown >= most:
            return Verdict(
                True, f"the offer's own cap is reached: {shown}/{most} a {unit}", {"max": most, "actual": shown}
            )
    for budget, used, limit in budget_of(candidate, context):
        if limit is not None and used >= limit:
            spent = {"budgetField": budget, "threshold": limit, "actual": used}
            return Verdict(True, f"the offer's budget is used up: {budget} {used:g} of {limit:g}", spent)
    return None


def filter_candidates(run: Run, config: FilterConfig) -> None:
    """Keep candidates that fulfil the conditions."""
    holds = compile_all(config.conditions, config.combinator)

    def judge(candidate: Candidate) -> tuple[str, str, Verdict] | None:
        if holds(lambda name: run.context.lookup(name, candidate)):
            return None
        wanted = f" {config.combinator} ".join(f"{c.field} {c.operator} {c.value!r}" for c in config.conditions)
        return run.node, "", Verdict(True, f"the filter wants {wanted}")

    run.keep("filter", judge)


def compile_all(conditions: Sequence[Condition], combinator: str) -> Callable[[Callable[[str], object]], bool]:
    """Prepare conditions that hold all, or any; the result asks a lookup for fields."""
    tests = [compile_condition(condition) for condition in conditions]
    combine: Callable[[Iterable[bool]], bool] = any if combinator == "OR" else all
    return lambda lookup: combine(test.holds(lookup(test.field)) for test in tests)
