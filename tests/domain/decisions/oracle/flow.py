"""Flow nodes of the plain evaluator, and the compilation of flows to its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import msgspec

from rapport.domain.catalogue.inventory import Creative, Offer
from rapport.domain.catalogue.schedule import explain_off_schedule
from rapport.domain.catalogue.strategy import REQUIRED_NODES, ContactPolicy, DecisionFlow, Node
from rapport.domain.conditions import Condition, compile_condition
from rapport.domain.configs import ConfigError, read_config
from rapport.domain.decisions.eligibility.policies import Policy
from rapport.domain.decisions.eligibility.rules import Rule
from rapport.domain.decisions.flow_checks import list_nodes
from rapport.domain.decisions.node_types import (
    CONFIGS,
    MAX_CANDIDATES,
    MAX_DEPTH,
    NARROW,
    OUTPUT,
    PHASES,
    SCORE,
    CallConfig,
    ComputeConfig,
    ConditionalConfig,
    ExtensionConfig,
    FilterConfig,
    GroupConfig,
    InventoryConfig,
    MatchConfig,
    ModeConfig,
    OptimizeConfig,
    RankConfig,
    ScoreConfig,
    SetConfig,
)
from rapport.domain.decisions.program import FlowStep, Program
from rapport.domain.decisions.verdict import RuleVerdict, Verdict
from rapport.domain.faults import Fault
from rapport.domain.formulas import FormulaError, compile_formula
from tests.domain.decisions.oracle.eligibility import ContactPolicyIndex, RuleIndex, prepare_policies, prepare_qualify
from tests.domain.decisions.oracle.run import Candidate, NodeAction, Run
from tests.domain.decisions.oracle.scoring import (
    choose_creatives,
    optimize_candidates,
    rank_candidates,
    score_candidates,
)

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


def prepare_extension(config: ExtensionConfig) -> NodeAction:
    """Return an action that calls the plug-in of an extension point, if there is one.

    The plug-in cannot add candidates. If it fails, the candidates stay as they were and the trace notes the failure.
    """

    def act(run: Run) -> None:
        extension = run.catalogue.extensions.get(config.point)
        if extension is None or run.is_fallback:
            return
        try:
            left = {
                candidate.subject: candidate
                for candidate in extension([_copy(candidate) for candidate in run.candidates], run.context)
            }
        except Exception as error:  # noqa: BLE001 - whatever a plug-in does, the decision goes on without it
            fault = f"{type(error).__name__}: {error}"
            run.recorder.problems.append(f"the extension at {config.point} failed and was left out: {fault}")
            return
        allowed = {candidate.subject for candidate in run.candidates}
        removed = (RuleVerdict(run.node, "", Verdict(True, f"removed by the extension at {config.point}")),)
        run.apply_check("extension_point", lambda candidate: () if candidate.subject in left else removed)
        stay = [candidate for candidate in run.candidates if candidate.subject not in left]  # only in exhaustive runs
        run.candidates = [*(one for subject, one in left.items() if subject in allowed), *stay]

    return act


def _copy(candidate: Candidate) -> Candidate:
    return replace(
        candidate,
        properties=dict(candidate.properties),
        personalization=dict(candidate.personalization),
        explanation=dict(candidate.explanation),
    )


_EVERYTHING: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class FlowDependencies:
    """Parts of the compiled catalogue that nodes are compiled with.

    Attributes:
        offers: Offers in the initial order of candidates.
        rules: Qualification rules, highest priority first.
        policies: Contact policies, highest priority first.
        broken_policies: Policies that cannot be compiled, with the fault.
        rule_index: Index of all rules, shared by the nodes that apply all.
        policy_index: Index of all policies, shared likewise.
        suppressions: Suppressions; they apply whatever policies a node selects.
    """

    offers: Sequence[Offer]
    rules: Sequence[Rule]
    policies: Sequence[Policy]
    broken_policies: Sequence[tuple[ContactPolicy, str]]
    rule_index: RuleIndex
    policy_index: ContactPolicyIndex
    suppressions: Sequence[Policy] = ()

    def select_rules(self, config: ModeConfig) -> RuleIndex:
        """Return the index of the rules that a node applies."""
        if config.mode == "all":
            return self.rule_index
        return RuleIndex([rule for rule in self.rules if rule.entity.id in config.ids])

    def select_policies(self, config: ModeConfig) -> ContactPolicyIndex:
        """Return the index of the policies that a node applies."""
        if config.mode == "all":
            return self.policy_index
        policies = [policy for policy in self.policies if policy.entity.id in config.ids]
        broken_policies = [(entity, fault) for entity, fault in self.broken_policies if entity.id in config.ids]
        return ContactPolicyIndex.build(policies, broken_policies, self.suppressions)


def compile_flow(flow: DecisionFlow, dependencies: FlowDependencies) -> Program:
    """Compile the published nodes of a flow.

    Raises:
        ConfigError: A node's config cannot be used.
        ConditionError: A condition in it cannot be evaluated.
    """
    phases: dict[int, list[FlowStep]] = {NARROW: [], SCORE: [], OUTPUT: []}
    phase = NARROW
    required = {kind: _prepare_required_step(kind, dependencies) for kind in REQUIRED_NODES if kind not in flow.skip}
    matches = any(node.type in ("match_creatives", "call_flow") for node in list_nodes(flow.published))
    for node in flow.published:
        phase = PHASES.get(node.type, phase)
        if node.type == "rank":
            phases[phase].append(_CHOOSE_CREATIVES)
        phases[phase].append(_prepare(node, phase, dependencies))
        if node.type == "inventory" and not matches and "match_creatives" in required:
            # Right after the inventory: later rules and policies may be scoped to creatives and channels.
            phases[phase].append(required["match_creatives"])
    if not any(node.type == "rank" for node in flow.published):
        phases[SCORE] += [_CHOOSE_CREATIVES, _prepare(_RANK, SCORE, dependencies)]
    return Program(flow, phases, list(required.values()))


def run_required_steps(run: Run, program: Program) -> None:
    """Run the required steps that this run has not executed: leaving a node out of a flow must not disable rules."""
    run_steps(run, [step for step in program.required_steps if step.node.type not in run.counts_by_type])


def run_steps(run: Run, steps: Iterable[FlowStep]) -> None:
    """Run steps in their order, and record each in the trace."""
    for step in steps:
        run.node = step.node.id
        before = len(run.candidates)
        step.act(run)
        run.counts_by_type[step.node.type] = len(run.candidates)
        run.recorder.note_stage(step.node.type, step.node.id, before, run.candidates, method=step.method)


_CHOOSE_CREATIVES: Final = FlowStep(Node(id="choose_creatives", type="choose_creatives"), choose_creatives)


"""Step before each ranking, because an offer is ranked only once, with a single creative."""


_RANK: Final = Node(id="rank", type="rank", config={"method": "top_score", "maxCandidates": MAX_CANDIDATES})


def _prepare_required_step(kind: str, dependencies: FlowDependencies) -> FlowStep:
    """Compile a required step with the default config; without any creatives ``match_creatives`` does nothing."""
    step = _prepare(Node(id=f"implied-{kind}", type=kind), NARROW, dependencies)
    if kind != "match_creatives":
        return step
    return replace(step, act=lambda run: step.act(run) if run.catalogue.creatives else None)


def _prepare(node: Node, phase: int, dependencies: FlowDependencies) -> FlowStep:
    if node.type not in CONFIGS:
        raise ConfigError(Fault("type", f"{node.type!r} of node {node.id} is not known"))
    try:
        config = read_config(node.config, CONFIGS[node.type])
        return FlowStep(node, _FACTORIES[node.type](config, phase, dependencies), getattr(config, "method", ""))
    except ConfigError as error:
        raise ConfigError(*(Fault(f"{node.id}.{fault.field}", fault.message) for fault in error.faults)) from error


def _prepare_conditional(config: ConditionalConfig, phase: int, dependencies: FlowDependencies) -> NodeAction:
    holds = compile_conditions(config.conditions, config.combinator)
    then = [_prepare(node, phase, dependencies) for node in config.then]
    otherwise = [_prepare(node, phase, dependencies) for node in config.otherwise]
    return lambda run: run_steps(run, then if holds(run.context.lookup) else otherwise)


def _prepare_call(config: CallConfig, phase: int, _dependencies: FlowDependencies) -> NodeAction:
    def act(run: Run) -> None:
        program = run.catalogue.programs.get(config.flow_key)
        if program is None or run.depth >= MAX_DEPTH:
            _block_all(run, config.flow_key, phase, "is not active" if program is None else "is called too deep")
            return
        run.depth += 1
        run_steps(run, [step for step in program.phases[phase] if step.node.type != "inventory"])
        run.depth -= 1

    return act


def _block_all(run: Run, key: str, phase: int, why: str) -> None:
    """Block all candidates in the first phase, because a flow that cannot be called might have removed any of them."""
    reason = f"flow {key} {why}"
    run.recorder.problems.append(f"node {run.node}: {reason}")
    if phase == NARROW:
        verdict = RuleVerdict(run.node, "", Verdict(True, reason, is_fault=True))
        run.apply_check("call_flow", lambda _candidate: (verdict,))


def _prepare_score(config: ScoreConfig, _phase: int, _dependencies: FlowDependencies) -> NodeAction:
    def act(run: Run) -> None:
        if run.is_fallback:
            for candidate in run.candidates:
                candidate.fit = 1.0
            score_candidates(run, ScoreConfig())
            return
        score_candidates(run, config)
        run.is_fallback = any(assignment.is_held_out for assignment in run.assignments)

    return act


def _prepare_optimize(config: OptimizeConfig, _phase: int, _dependencies: FlowDependencies) -> NodeAction:
    return lambda run: None if run.is_fallback else optimize_candidates(run, config)


def _prepare_rank(config: RankConfig, _phase: int, _dependencies: FlowDependencies) -> NodeAction:
    """Return an action that ranks all candidates.

    The output phase applies the maximum, because only then it is known which candidates can be shown.
    """
    everything = msgspec.structs.replace(config, max_candidates=_EVERYTHING)
    fallback = msgspec.structs.replace(everything, method="top_score")

    def act(run: Run) -> None:
        run.max_candidates = min(run.max_candidates, config.max_candidates)
        run.ranked_by = run.node
        run.ranking = fallback if run.is_fallback else everything
        rank_candidates(run, run.ranking)

    return act


def _prepare_group(config: GroupConfig, _phase: int, _dependencies: FlowDependencies) -> NodeAction:
    def act(run: Run) -> None:
        run.allocation = config.method

    return act


def _prepare_compute(config: ComputeConfig, _phase: int, _dependencies: FlowDependencies) -> NodeAction:
    try:
        formulas = [(field.name, compile_formula(field.formula)) for field in config.fields]
    except FormulaError as error:
        raise ConfigError(Fault("fields", str(error))) from error

    def act(run: Run) -> None:
        for candidate in run.candidates:
            for name, formula in formulas:
                value = formula.evaluate(partial(run.context.lookup, candidate=candidate))
                candidate.personalization[name] = value

    return act


def _prepare_set(config: SetConfig, _phase: int, _dependencies: FlowDependencies) -> NodeAction:
    def act(run: Run) -> None:
        for candidate in run.candidates:
            candidate.properties.update(config.properties)

    return act


def _do_nothing(_run: Run) -> None:
    """Do nothing: facts are loaded before the flow runs, and there is only one response format."""


_FACTORIES: Final[Mapping[str, Callable[[Any, int, FlowDependencies], NodeAction]]] = {
    "inventory": lambda config, _phase, dependencies: prepare_inventory(config, dependencies.offers),
    "match_creatives": lambda config, _phase, _dependencies: prepare_match(config),
    "enrich": lambda _config, _phase, _dependencies: _do_nothing,
    "qualify": lambda config, _phase, dependencies: prepare_qualify(dependencies.select_rules(config)),
    "contact_policy": lambda config, _phase, dependencies: prepare_policies(dependencies.select_policies(config)),
    "filter": lambda config, _phase, _dependencies: prepare_filter(config),
    "conditional": _prepare_conditional,
    "call_flow": _prepare_call,
    "score": _prepare_score,
    "optimize": _prepare_optimize,
    "rank": _prepare_rank,
    "group": _prepare_group,
    "compute": _prepare_compute,
    "set_properties": _prepare_set,
    "response": lambda _config, _phase, _dependencies: _do_nothing,
    "extension_point": lambda config, _phase, _dependencies: prepare_extension(config),
}
