"""Flow nodes of the first phase: inventory, match_creatives and filter.

Each ``prepare`` function compiles a node: it computes once whatever depends only on the config and the catalogue, and
returns the action that runs the node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.schedule import explain_off_schedule
from rapport.domain.conditions import Condition, compile_condition
from rapport.domain.decisions.candidates import Candidate
from rapport.domain.decisions.node_types import (
    FilterConfig,
    InventoryConfig,
    MatchConfig,
)
from rapport.domain.decisions.run import NodeAction, Run
from rapport.domain.decisions.verdict import RuleVerdict, Verdict

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Creative, Offer


MAX_REMEMBERED_REQUESTS: Final = 1_000
"""Maximum of cached (channel, placement) combinations: requests can name any number of them."""


def prepare_inventory(config: InventoryConfig, offers: Iterable[Offer]) -> NodeAction:
    """Return an action that makes candidates of the offers in scope and on schedule, in the order of ``offers``."""
    in_scope = [o for o in offers if _is_in_scope(o, config) and o.status.value in config.include_statuses]

    def act(run: Run) -> None:
        excluded, now_ms = run.context.request.excluded_offers, run.context.now_ms
        for offer in in_scope:
            candidate = Candidate(offer)
            problem = "excluded by the request" if offer.id in excluded else explain_off_schedule(offer, now_ms)
            if problem and run.remove("inventory", candidate, [RuleVerdict(run.node, "", Verdict(True, problem))]):
                continue
            run.candidates.append(candidate)

    return act


def _is_in_scope(offer: Offer, config: InventoryConfig) -> bool:
    if offer.id in config.offer_ids:
        return True
    if config.scope == "category":
        return offer.category_id in config.category_ids
    if config.scope == "subcategory":
        return offer.sub_category_id in config.sub_category_ids
    return config.scope == "all"


def prepare_match(config: MatchConfig) -> NodeAction:
    """Return an action that makes a candidate of each offer with each creative that fits the request."""
    cache: dict[tuple[str | None, str | None, str | None], dict[str, Sequence[Creative]]] = {}

    def act(run: Run) -> None:
        request, channels = run.context.request, run.catalogue.channels
        key = request.channel_id, request.channel_type, request.placement_id
        if key not in cache and len(cache) >= MAX_REMEMBERED_REQUESTS:
            cache.clear()
        creatives_by_offer = cache.setdefault(key, {})
        matched: list[Candidate] = []
        for candidate in run.candidates:
            fitting = _list_fitting_creatives(candidate, run, config, creatives_by_offer)
            if fitting:
                candidate.creative = fitting[0]
                candidate.channel = channels[fitting[0].channel_id]
                matched.append(candidate)
                matched += [
                    Candidate(candidate.offer, creative, channels[creative.channel_id], candidate.fit)
                    for creative in fitting[1:]
                ]
            elif not (
                config.require_creative
                and run.remove("match_creatives", candidate, [_explain_missing_creative(run, candidate)])
            ):
                candidate.creative = candidate.channel = None
                matched.append(candidate)
        run.candidates = matched

    return act


def _explain_missing_creative(run: Run, candidate: Candidate) -> RuleVerdict:
    if candidate.offer.id in run.catalogue.creatives:
        return RuleVerdict(run.node, "", Verdict(True, "no active creative fits the channel and the placement"))
    return RuleVerdict(run.node, "", Verdict(True, "it has no active creative on an active channel", is_fault=True))


def _list_fitting_creatives(
    candidate: Candidate, run: Run, config: MatchConfig, cache: dict[str, Sequence[Creative]]
) -> Sequence[Creative]:
    """Return the creatives that fit the request; they are cached by offer for requests for the same placement."""
    excluded = run.context.request.excluded_creatives
    if candidate.creative is not None:  # matched before, by a flow that calls this one
        return [
            creative
            for creative in (candidate.creative,)
            if creative.id not in excluded and _is_fitting(creative, run, config)
        ]
    fitting = cache.get(candidate.offer.id)
    if fitting is None:
        creatives = run.catalogue.creatives.get(candidate.offer.id, ())
        fitting = cache[candidate.offer.id] = [creative for creative in creatives if _is_fitting(creative, run, config)]
    return [creative for creative in fitting if creative.id not in excluded] if excluded else fitting


def _is_fitting(creative: Creative, run: Run, config: MatchConfig) -> bool:
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


def prepare_filter(config: FilterConfig) -> NodeAction:
    """Return an action that removes candidates that do not fulfil the conditions."""
    holds = compile_conditions(config.conditions, config.combinator)
    wanted = f" {config.combinator} ".join(f"{c.field} {c.operator} {c.value!r}" for c in config.conditions)
    verdict = Verdict(True, f"the filter wants {wanted}")

    def act(run: Run) -> None:
        failed = (RuleVerdict(run.node, "", verdict),)

        def check(candidate: Candidate) -> Sequence[RuleVerdict]:
            return () if holds(partial(run.context.lookup, candidate=candidate)) else failed

        run.apply_check("filter", check)

    return act


def compile_conditions(conditions: Sequence[Condition], combinator: str) -> Callable[[Callable[[str], object]], bool]:
    """Compile conditions, combined with AND or OR, into a function that reads fields from a lookup."""
    tests = [compile_condition(condition) for condition in conditions]
    combine: Callable[[Iterable[bool]], bool] = any if combinator == "OR" else all
    return lambda lookup: combine(test.holds(lookup(test.field)) for test in tests)
