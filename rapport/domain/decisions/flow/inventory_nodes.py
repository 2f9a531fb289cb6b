"""The first phase: from all offers to those that may be shown to this customer here and now.

Each function prepares a node: what can be worked out of its config and the catalogue is, once; the result acts on runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from random import Random
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from rapport.domain.conditions import Condition, compile_condition
from rapport.domain.decisions.candidates import Candidate, Context
from rapport.domain.decisions.eligibility.verdict import Verdict
from rapport.domain.decisions.facts import Subject
from rapport.domain.decisions.flow.node_types import (
    MAX_CANDIDATES,
    FilterConfig,
    InventoryConfig,
    MatchConfig,
    RankConfig,
)
from rapport.domain.times import parse_instant

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Creative, Offer
    from rapport.domain.decisions.compile import Catalogue
    from rapport.domain.decisions.trace import Recorder
    from rapport.domain.experiments.assignment import Assignment


MAX_ASKED: Final = 1_000
"""Channels and placements for which fitting creatives are remembered; requests could name any number of them."""
Objection: TypeAlias = tuple[str, str, Verdict]
"""By whom, its name, why."""


@dataclass(slots=True)
class Run:
    """A flow while it runs for one placement.

    Attributes:
        random: The run's only source of chance; its seed is kept with the decision.
        open_circuits: Keys of models that are not asked, because they failed lately.
        failed_models: Keys of models that failed in this run.
        assignments: The arms of experiments that the customer is in.
        node: The id of the node that runs.
        most: How many candidates its rank nodes let stay.
        allocation: How its group node spreads candidates over placements.
        is_fallback: Whether the customer is held out: models, optimization and extensions are left out.
        gates: How many candidates were left after the last node of each type.
        depth: Of flows that call flows.
        ranked_by: The id of the node that ranked.
        ranking: How it did.
        pool: What it ranked.
        guards: Judge candidates again, once it is known what is shown before them.
        applied: Stage and id of each rule and policy that its gates asked.
        is_inquiry: Whether candidates stay whatever is said about them, so that everything is said.
        objected: In an inquiry, what would have left; a subject without a creative stands for the whole offer.
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
    most: int = MAX_CANDIDATES
    allocation: Literal["greedy", "optimal"] = "greedy"
    is_fallback: bool = False
    gates: dict[str, int] = field(default_factory=dict)
    depth: int = 0
    ranked_by: str = ""
    ranking: RankConfig = field(default_factory=RankConfig)
    pool: Sequence[Candidate] = ()
    guards: list[Callable[[Candidate, Context], Objection | None]] = field(default_factory=list)
    applied: set[tuple[str, str]] = field(default_factory=set)
    is_inquiry: bool = False
    objected: set[Subject] = field(default_factory=set)

    def passes(self, candidate: Candidate) -> bool:
        """Whether nothing was said against a candidate that is still there; outside of inquiries that is so."""
        return not self.objected or self.objected.isdisjoint((candidate.subject, Subject(candidate.offer.id, "", "")))

    def remove(self, stage: str, candidate: Candidate, objection: Objection) -> bool:
        """Note what is said against a candidate, and say whether it leaves."""
        by, name, verdict = objection
        self.recorder.note_removal(stage, by, candidate, verdict, by_name=name)
        if self.is_inquiry:
            self.objected.add(candidate.subject)
        return not self.is_inquiry

    def keep(self, stage: str, judge: Callable[[Candidate], Objection | None]) -> None:
        """Keep the candidates that a judge says nothing about; he says: by whom, its name, the verdict."""
        kept: list[Candidate] = []
        for candidate in self.candidates:
            objection = judge(candidate)
            if objection is None or not self.remove(stage, candidate, objection):
                kept.append(candidate)
        self.candidates = kept


Action = Callable[[Run], None]


def prepare_inventory(config: InventoryConfig, offers: Iterable[Offer]) -> Action:
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


def off_schedule(offer: Offer, now_ms: int) -> str:
    """Why an offer is not to be shown at this time; empty if it may be."""
    start_ms, end_ms = instant_ms(offer.schedule.start_at), instant_ms(offer.schedule.end_at)
    if start_ms is not None and now_ms < start_ms:
        return f"its schedule begins at {offer.schedule.start_at}"
    if end_ms is not None and now_ms >= end_ms:
        return f"its schedule ended at {offer.schedule.end_at}"
    return ""


@lru_cache(maxsize=65_536)
def instant_ms(text: str | None) -> int | None:
    """Read a time of an offer as epoch milliseconds; None for none.

    Raises:
        InstantError: It is no instant.
    """
    return parse_instant(text) if text else None


def prepare_match(config: MatchConfig) -> Action:
    """Make a candidate of each offer with each creative that fits the request."""
    known: dict[tuple[str | None, str | None, str | None], dict[str, Sequence[Creative]]] = {}

    def act(run: Run) -> None:
        request, channels = run.context.request, run.catalogue.channels
        asked = request.channel_id, request.channel_type, request.placement_id
        if asked not in known and len(known) >= MAX_ASKED:
            known.clear()
        of_offers = known.setdefault(asked, {})
        matched: list[Candidate] = []
        for candidate in run.candidates:
            fitting = _fitting(candidate, run, config, of_offers)
            if fitting:
                candidate.creative = fitting[0]
                candidate.channel = channels[fitting[0].channel_id]
                matched.append(candidate)
                matched += [
                    Candidate(candidate.offer, creative, channels[creative.channel_id], candidate.fit)
                    for creative in fitting[1:]
                ]
            elif not (config.require_creative and run.remove("match_creatives", candidate, _misfit(run, candidate))):
                candidate.creative = candidate.channel = None
                matched.append(candidate)
        run.candidates = matched

    return act


def _misfit(run: Run, candidate: Candidate) -> Objection:
    if candidate.offer.id in run.catalogue.creatives:
        return run.node, "", Verdict(True, "no active creative fits the channel and the placement")
    return run.node, "", Verdict(True, "it has no active creative on an active channel", is_fault=True)


def _fitting(
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


def is_mandatory_now(offer: Offer, now_ms: int) -> bool:
    """Whether an offer goes first: it is mandatory, and that has not expired."""
    expires_ms = instant_ms(offer.mandatory_expires_at)
    return offer.mandatory and (expires_ms is None or now_ms < expires_ms)


def prepare_filter(config: FilterConfig) -> Action:
    """Keep candidates that fulfil the conditions."""
    holds = compile_all(config.conditions, config.combinator)
    wanted = f" {config.combinator} ".join(f"{c.field} {c.operator} {c.value!r}" for c in config.conditions)
    verdict = Verdict(True, f"the filter wants {wanted}")

    def act(run: Run) -> None:
        def judge(candidate: Candidate) -> Objection | None:
            return None if holds(partial(run.context.lookup, candidate=candidate)) else (run.node, "", verdict)

        run.keep("filter", judge)

    return act


def compile_all(conditions: Sequence[Condition], combinator: str) -> Callable[[Callable[[str], object]], bool]:
    """Prepare conditions that hold all, or any; the result asks a lookup for fields."""
    tests = [compile_condition(condition) for condition in conditions]
    combine: Callable[[Iterable[bool]], bool] = any if combinator == "OR" else all
    return lambda lookup: combine(test.holds(lookup(test.field)) for test in tests)
