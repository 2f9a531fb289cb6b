"""The use case of explaining which offers a customer may get, now or at a past decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rapport.domain.decisions.engine import evaluate_flow
from rapport.domain.decisions.explain import Explanation, explain

if TYPE_CHECKING:
    from rapport.application.decisions.decide import DecisionTask
    from rapport.domain.catalogue.inventory import Offer
    from rapport.domain.decisions.facts import CustomerFacts, TenantFacts


def explain_offers(
    task: DecisionTask,
    customer: CustomerFacts,
    tenant: TenantFacts,
    offers: Iterable[Offer],
    *,
    now_ms: int,
    seed: int,
    open_circuits: frozenset[str] = frozenset(),
) -> Sequence[Explanation]:
    """Explain offers of the catalogue, whatever their status, by the rules that decide about them.

    The same code evaluates them as in :func:`~rapport.application.decisions.decide.make_decision`, but goes on behind
    the first that blocks an offer. Other arguments are those of a decision; the problems of a task come first among the
    reasons against every offer.

    Returns:
        The explanations, in the order of the offers.
    """
    explained = list(offers)
    evaluation = evaluate_flow(
        task.catalogue,
        task.flow,
        task.request,
        customer,
        tenant,
        explained,
        now_ms=now_ms,
        seed=seed,
        open_circuits=open_circuits,
    )
    explanations = [explain(task.catalogue, offer, evaluation) for offer in explained]
    if not task.problems:
        return explanations
    return [
        replace(explanation, reasons=[*task.problems, *explanation.reasons], is_eligible=False)
        for explanation in explanations
    ]
