"""Flow nodes of the first phase: inventory, match_creatives and filter.

Each ``prepare`` function compiles a node: it computes once whatever depends only on the config and the catalogue, and
returns the action that runs the node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from rapport.domain.catalogue.inventory import Schedule
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
    from rapport.domain.catalogue.inventory import Channel, Creative, Offer
    from rapport.domain.decisions.candidate_columns import CandidateColumns

MAX_REMEMBERED_REQUESTS: Final = 1_000
"""Maximum of cached (channel, placement) combinations: requests can name any number of them."""


def prepare_inventory(config: InventoryConfig, offers: Iterable[Offer], columns: CandidateColumns) -> NodeAction:
    """Return an action that makes candidates of the offers in scope and on schedule, in the order of ``offers``."""
    in_scope = [o for o in offers if _is_in_scope(o, config) and o.status.value in config.include_statuses]
    positioned = [(offer, columns.positions[offer.id, ""]) for offer in in_scope]
    scheduled = [offer for offer in in_scope if offer.schedule != Schedule()]

    def act(run: Run) -> None:
        now_ms = run.context.now_ms
        problems = {offer.id: reason for offer in scheduled if (reason := explain_off_schedule(offer, now_ms))}
        problems |= dict.fromkeys(run.context.request.excluded_offers, "excluded by the request")
        candidates = [Candidate(offer, None, None, position) for offer, position in positioned]
        if problems:
            candidates = [one for one in candidates if not _remove_from_inventory(run, one, problems)]
        run.candidates += candidates

    return act


def _remove_from_inventory(run: Run, candidate: Candidate, problems: Mapping[str, str]) -> bool:
    problem = problems.get(candidate.offer.id)
    if problem is None:
        return False
    return run.remove("inventory", candidate, [RuleVerdict(run.node, "", Verdict(True, problem))])


def _is_in_scope(offer: Offer, config: InventoryConfig) -> bool:
    if offer.id in config.offer_ids:
        return True
    if config.scope == "category":
        return offer.category_id in config.category_ids
    if config.scope == "subcategory":
        return offer.sub_category_id in config.sub_category_ids
    return config.scope == "all"


class _Match(NamedTuple):
    """Creative that fits a request, with the position of the candidate."""

    creative: Creative
    channel: Channel
    position: int


def prepare_match(config: MatchConfig, columns: CandidateColumns) -> NodeAction:
    """Return an action that makes a candidate of each offer with each creative that fits the request."""
    cache: dict[tuple[str | None, str | None, str | None], dict[str, Sequence[_Match]]] = {}

    def act(run: Run) -> None:
        request = run.context.request
        key = request.channel_id, request.channel_type, request.placement_id
        if key not in cache and len(cache) >= MAX_REMEMBERED_REQUESTS:
            cache.clear()
        by_offer = cache.setdefault(key, {})
        matched: list[Candidate] = []
        for candidate in run.candidates:
            fitting = by_offer.get(candidate.offer.id)
            if fitting is None:
                fitting = by_offer[candidate.offer.id] = _list_fitting(candidate.offer, run, config, columns)
            if candidate.creative is not None or request.excluded_creatives:
                fitting = _list_allowed(candidate, fitting, request.excluded_creatives)
            if fitting:
                candidate.creative, candidate.channel, candidate.position = fitting[0]
                matched.append(candidate)
                if len(fitting) > 1:
                    matched += [_make_sibling(candidate, match) for match in fitting[1:]]
            elif not (
                config.require_creative
                and run.remove("match_creatives", candidate, [_explain_missing_creative(run, candidate)])
            ):
                candidate.creative = candidate.channel = None
                candidate.position = columns.positions.get((candidate.offer.id, ""))
                matched.append(candidate)
        run.candidates = matched

    return act


def _make_sibling(candidate: Candidate, match: _Match) -> Candidate:
    sibling = Candidate(candidate.offer, *match)
    sibling.fit = candidate.fit
    return sibling


def _explain_missing_creative(run: Run, candidate: Candidate) -> RuleVerdict:
    if candidate.offer.id in run.catalogue.creatives:
        return RuleVerdict(run.node, "", Verdict(True, "no active creative fits the channel and the placement"))
    return RuleVerdict(run.node, "", Verdict(True, "it has no active creative on an active channel", is_fault=True))


def _list_fitting(offer: Offer, run: Run, config: MatchConfig, columns: CandidateColumns) -> Sequence[_Match]:
    """Return the creatives of an offer that fit the request."""
    return [
        _Match(creative, run.catalogue.channels[creative.channel_id], columns.positions[offer.id, creative.id])
        for creative in run.catalogue.creatives.get(offer.id, ())
        if _is_fitting(creative, run, config)
    ]


def _list_allowed(candidate: Candidate, fitting: Sequence[_Match], excluded: frozenset[str]) -> Sequence[_Match]:
    """Return the creatives that the request does not exclude.

    A candidate that was matched before, by a flow that calls this one, keeps its creative or loses it.
    """
    return [
        match
        for match in fitting
        if match.creative.id not in excluded and (candidate.creative is None or candidate.creative is match.creative)
    ]


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
