"""The use case of making a decision, for recommendations, journeys, simulations, eligibility and replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rapport.application.decisions.software_versions import list_software_versions
from rapport.domain.catalogue.inventory import FrequencyCaps
from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.decisions.candidates import Request
from rapport.domain.decisions.catalogue import Catalogue
from rapport.domain.decisions.decision import Decision, Funnel
from rapport.domain.decisions.engine import decide
from rapport.domain.decisions.facts import CustomerFacts, TenantFacts
from rapport.domain.decisions.record import (
    DecisionRecord,
    WatermarkRecord,
    record_customer,
    record_request,
    record_tenant,
    restore_request,
)
from rapport.domain.decisions.trace import Trace
from rapport.domain.tenants import Tenant

_NO_CAPS: Final = FrequencyCaps()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTask:
    """A decision to make.

    Attributes:
        problems: Reasons why no decision can be made; empty if it can.
    """

    tenant: Tenant
    catalogue: Catalogue
    flow: DecisionFlow
    request: Request
    problems: Sequence[str] = ()


def restore_task(tenant: Tenant, catalogue: Catalogue, record: DecisionRecord) -> DecisionTask | None:
    """Restore the task of a past decision; None if its catalogue has no such flow.

    Args:
        tenant: The tenant.
        catalogue: The catalogue at the time of the decision.
        record: The recorded decision.

    Raises:
        msgspec.ValidationError: The request was recorded in a form that is not supported any more.
    """
    flow = catalogue.choose_flow(record.decision.flow_key, None, None)
    if flow is None:
        return None
    request = restore_request(record.request)
    return DecisionTask(tenant=tenant, catalogue=catalogue, flow=flow, request=request, problems=record.problems)


def needs_reservations(catalogue: Catalogue) -> bool:
    """Return whether decisions of a catalogue depend on earlier contacts: only then exposures are reserved."""
    return any(policy.limits_exposure or policy.entity.rule_type == "cooldown" for policy in catalogue.policies) or any(
        offer.frequency_caps != _NO_CAPS for offer in catalogue.offers.values()
    )


def make_decision(
    task: DecisionTask,
    customer: CustomerFacts,
    tenant: TenantFacts,
    *,
    now_ms: int,
    seed: int,
    open_circuits: frozenset[str] = frozenset(),
) -> Decision:
    """Run the flow; a task with problems gets an empty decision.

    Args:
        task: The decision to make, for the tenant whose facts are given.
        customer: Result of :meth:`~rapport.application.decisions.load_facts.CustomerFactsResult.build`.
        tenant: Totals over all customers.
        now_ms: Time of the decision, epoch milliseconds.
        seed: Seed of all randomness in the decision.
        open_circuits: Keys of models that are left out, because they failed lately.
    """
    if task.problems:
        return Decision(
            flow_key=task.flow.key,
            flow_version=task.flow.published_version,
            items=(),
            funnel=Funnel(candidate_count=0, after_qualification=0, after_contact_policy=0, final_count=0),
            placement_results=(),
            experiments=(),
            trace=Trace(stages=(), removals=(), scores=(), problems=task.problems),
            seed=seed,
        )
    return decide(
        task.catalogue,
        task.flow,
        task.request,
        customer,
        tenant,
        now_ms=now_ms,
        seed=seed,
        open_circuits=open_circuits,
    )


def record_decision(
    task: DecisionTask,
    customer: CustomerFacts,
    tenant: TenantFacts,
    watermark: WatermarkRecord,
    decision: Decision,
    *,
    recommendation_id: str,
    now_ms: int,
    total_ms: float,
    open_circuits: frozenset[str] = frozenset(),
    trace_id: str = "",
) -> DecisionRecord:
    """Build the record of a decision with all its inputs, so that it can be explained and replayed.

    The task, the facts, the time and the open circuits are those of the decision. The watermark holds the applied
    offsets of the tables at that time; ``total_ms`` is the duration of reading facts and deciding.
    """
    return DecisionRecord(
        recommendation_id=recommendation_id,
        customer_id=task.request.customer_id,
        decided_at_ms=now_ms,
        request=record_request(task.request),
        catalogue=task.catalogue.stamp,
        seed=decision.seed,
        open_circuits=sorted(open_circuits),
        customer=record_customer(customer),
        tenant=record_tenant(tenant),
        watermark=watermark,
        decision=decision,
        problems=task.problems,
        trace_id=trace_id,
        software=list_software_versions(task.catalogue),
        total_ms=round(total_ms, 3),
    )
