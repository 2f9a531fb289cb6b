"""The first phase: from all offers to those that may be shown to this customer here and now.

Each function prepares a node: what can be worked out of its config and the catalogue is, once; the result acts on runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.schedule import off_schedule
from rapport.domain.conditions import Condition, compile_condition
from rapport.domain.decisions.candidates import Candidate
from rapport.domain.decisions.node_types import (
    FilterConfig,
    InventoryConfig,
    MatchConfig,
)
from rapport.domain.decisions.run import NodeAction, RemovalReason, Run
from rapport.domain.decisions.verdict import Verdict

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Creative, Offer


MAX_REMEMBERED_REQUESTS: Final = 1_000
"""Channels and placements for which fitting creatives are remembered; requests could name any number of them."""


def prepare_inventory(config: InventoryConfig, offers: Iterable[Offer]) -> NodeAction:
    """Begin with the offers that are in scope and on schedule.

    Args:
        config: Of the node.
        offers: Of the catalogue, in the order that candidates are to have.
    """
    in_scope = [o for o in offers if _is_in_scope(o, config) and o.status.value in config.include_statuses]

    def act(run: Run) -> None:
        excluded, now_ms = run.context.request.excluded_offers, run.context.now_ms
        for offer in in_scope:
            candidate = Candidate(offer)
            problem = "excluded by the request" if offer.id in excluded else off_schedule(offer, now_ms)
            if not (problem and run.remove("inventory", candidate, (run.node, "", Verdict(True, problem)))):
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
    """Make a candidate of each offer with each creative that fits the request."""
    known: dict[tuple[str | None, str | None, str | None], dict[str, Sequence[Creative]]] = {}

    def act(run: Run) -> None:
        request, channels = run.context.request, run.catalogue.channels
        asked = request.channel_id, request.channel_type, request.placement_id
        if asked not in known and len(known) >= MAX_REMEMBERED_REQUESTS:
            known.clear()
        of_offers = known.setdefault(asked, {})
        matched: list[Candidate] = []
        for candidate in run.candidates:
            fitting = _list_fitting_creatives(candidate, run, config, of_offers)
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
                and run.remove("match_creatives", candidate, _explain_missing_creative(run, candidate))
            ):
                candidate.creative = candidate.channel = None
                matched.append(candidate)
        run.candidates = matched

    return act


def _explain_missing_creative(run: Run, candidate: Candidate) -> RemovalReason:
    if candidate.offer.id in run.catalogue.creatives:
        return run.node, "", Verdict(True, "no active creative fits the channel and the placement")
    return run.node, "", Verdict(True, "it has no active creative on an active channel", is_fault=True)


def _list_fitting_creatives(
    candidate: Candidate, run: Run, config: MatchConfig, of_offers: dict[str, Sequence[Creative]]
) -> Sequence[Creative]:
    """The creatives of a candidate that fit; those of its offer are remembered for the next request that asks so."""
    excluded = run.context.request.excluded_creatives
    if candidate.creative is not None:  # matched before, by a flow that calls this one
        return [one for one in (candidate.creative,) if one.id not in excluded and _fits(one, run, config)]
    found = of_offers.get(candidate.offer.id)
    if found is None:
        creatives = run.catalogue.creatives.get(candidate.offer.id, ())
        found = of_offers[candidate.offer.id] = [one for one in creatives if _fits(one, run, config)]
    return [one for one in found if one.id not in excluded] if excluded else found


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


def prepare_filter(config: FilterConfig) -> NodeAction:
    """Keep candidates that fulfil the conditions."""
    holds = compile_conditions(config.conditions, config.combinator)
    wanted = f" {config.combinator} ".join(f"{c.field} {c.operator} {c.value!r}" for c in config.conditions)
    verdict = Verdict(True, f"the filter wants {wanted}")

    def act(run: Run) -> None:
        def judge(candidate: Candidate) -> RemovalReason | None:
            return None if holds(partial(run.context.lookup, candidate=candidate)) else (run.node, "", verdict)

        run.keep("filter", judge)

    return act


def compile_conditions(conditions: Sequence[Condition], combinator: str) -> Callable[[Callable[[str], object]], bool]:
    """Prepare conditions that hold all, or any; the result asks a lookup for fields."""
    tests = [compile_condition(condition) for condition in conditions]
    combine: Callable[[Iterable[bool]], bool] = any if combinator == "OR" else all
    return lambda lookup: combine(test.holds(lookup(test.field)) for test in tests)
