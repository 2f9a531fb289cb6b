"""Effects of journey steps: decide offers, build contact events, change customers.

Each may be repeated, with the same key and state, without a second effect. A repeated decision is recorded again, with
an id of its own: the state, and the contact that follows, name the one that counts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rapport.application.decisions.decide import DecisionTask, make_decision, record_decision
from rapport.application.decisions.load_facts import ContextQuery, load_contexts, load_decision_facts
from rapport.application.decisions.recommendation_id import make_recommendation_id
from rapport.domain.decisions.candidates import Request
from rapport.domain.decisions.message import encode_decision
from rapport.domain.decisions.record import (
    DecisionRecord,
    WatermarkRecord,
)
from rapport.domain.events import InteractionRecorded, Message, make_message_key
from rapport.domain.profiles.attributes import complete
from rapport.domain.profiles.consent import find_missing_purpose
from rapport.storage.catalogue_changes import Author
from rapport.storage.customers import CurrentCustomers, change_customers
from rapport.storage.identity import read_merges

if TYPE_CHECKING:
    from rapport.application.journeys.journey_cache import TenantConfiguration
    from rapport.domain.catalogue.strategy import DecisionFlow
    from rapport.domain.customers.customer import Attributes
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.journeys.definition import DecideConfig
    from rapport.domain.journeys.enrolment import Enrolment
    from rapport.domain.journeys.progress import DecideAction, SendAction, UpdateAction
    from rapport.storage.client import Store

SEED_BYTES: Final = 6


class StepError(ValueError):
    """A step cannot be carried out as configured; the text says why."""


def decide_offers(
    store: Store,
    config: TenantConfiguration,
    customer_id: str,
    action: DecideAction,
    now_ms: int,
    context: Mapping[str, Any],
    positions: Mapping[str, int],
) -> DecisionRecord:
    """Run a decision flow to choose offers for a customer.

    Args:
        store: The database.
        config: The tenant's configuration.
        customer_id: The customer.
        action: The step's action.
        now_ms: Time of the decision, epoch milliseconds.
        context: Context of the request.
        positions: By partition, the offset before which everything has been recorded.

    Raises:
        StepError: There is no such flow that may run.
        StorageError: ClickHouse does not answer.
    """
    started = time.perf_counter()
    step = action.config
    flow = _find_flow(config.catalogue, step)
    customer, totals = load_decision_facts(store, config.tenant, config.catalogue, customer_id, now_ms)
    request = Request(
        customer_id=customer_id,
        channel_id=step.channel_id,
        placement_id=step.placement_id,
        limit=step.max_offers,
        context=context,
    )
    seed = int.from_bytes(hashlib.sha256(action.key.encode()).digest()[:SEED_BYTES])
    task = DecisionTask(tenant=config.tenant, catalogue=config.catalogue, flow=flow, request=request)
    decision = make_decision(task, customer, totals, now_ms=now_ms, seed=seed)
    return record_decision(
        task,
        customer,
        totals,
        WatermarkRecord(positions=positions),
        decision,
        recommendation_id=make_recommendation_id(now_ms),
        now_ms=now_ms,
        total_ms=(time.perf_counter() - started) * 1000,
    )


def list_offers(record: DecisionRecord) -> Sequence[Mapping[str, Any]]:
    """List the offers of a decision, the best first, as a journey stores them."""
    return [
        {
            "rank": item.rank,
            "offerId": item.offer_id,
            "offerName": item.offer_name,
            "creativeId": item.creative_id,
            "channelId": item.channel_id,
            "score": item.score,
        }
        for item in record.decision.items
    ]


def build_decision_message(config: TenantConfiguration, state: Enrolment, record: DecisionRecord) -> Message:
    """Build the message of a decision. It has no implicit impressions: the step that sends records the contact."""
    tenant_id = config.tenant.tenant_id
    message = encode_decision(
        tenant_id, record, msgspec.Raw(msgspec.json.encode(build_journey_context(state))), frozenset()
    )
    return Message(make_message_key(tenant_id, record.customer_id), message.value)


def build_journey_context(state: Enrolment) -> Mapping[str, Any]:
    """Build the part of events and decisions that names journey, enrolment and step."""
    return {"journey": {"journeyId": state.journey_id, "enrollmentId": state.id, "stepId": state.step}}


def build_contact_event(config: TenantConfiguration, enrolment: Enrolment, action: SendAction) -> InteractionRecorded:
    """Build the event that records a contact; repeated calls return the same.

    Raises:
        StepError: The offer or creative does not exist or is not active.
    """
    creative = config.creatives.get(action.creative_id)
    if action.creative_id and creative is None:
        raise StepError(f"there is no active creative {action.creative_id!r} on an active channel")
    offer_id = action.offer_id or (creative.offer_id if creative else "")
    channel_id = action.channel_id or (creative.channel_id if creative else "")
    return InteractionRecorded(
        tenant_id=config.tenant.tenant_id,
        customer_id=enrolment.customer_id,
        outcome=action.outcome,
        idempotency_key=action.key,
        offer_id=offer_id or None,
        creative_id=action.creative_id or None,
        channel_id=channel_id or None,
        direction="outbound",
        timestamp=action.at_ms,
        recommendation_id=action.recommendation_id or None,
        rank=action.rank if action.recommendation_id else None,
        metadata=msgspec.Raw(msgspec.json.encode(build_journey_context(enrolment))),
    )


def find_contact_restriction(store: Store, config: TenantConfiguration, event: InteractionRecorded) -> str:
    """Return the reason why a customer may not be contacted with an event; empty if contact is allowed."""
    members = read_merges(store, config.tenant.tenant_id).members(event.customer_id)
    query = ContextQuery(tenant=config.tenant, members=members, segments={}, sources=config.catalogue.attribute_sources)
    (customer,) = load_contexts(store, [query])
    if customer.objections:
        return customer.objections[0]
    channel = config.catalogue.channels.get(event.channel_id or "")
    purpose = find_missing_purpose(channel.channel_type if channel else None, customer.withheld)
    return f"the customer has not consented to {purpose}" if purpose else ""


def update_customer(store: Store, config: TenantConfiguration, enrolment: Enrolment, action: UpdateAction) -> None:
    """Change a customer's attributes.

    Raises:
        StepError: The attributes do not conform to the tenant's schemas.
        StorageError: ClickHouse does not answer.
    """
    customer_id = enrolment.customer_id

    def complete_attributes(before: CurrentCustomers) -> Mapping[str, Attributes | None]:
        customer = before.get(customer_id)
        stored = customer.attributes if customer and not customer.is_deleted else None
        attributes = complete(config.form, action.attributes, stored)
        if isinstance(attributes, list):
            raise StepError("; ".join(f"{fault.field} {fault.message}" for fault in attributes))
        return {customer_id: attributes}

    author = Author(f"journey {enrolment.journey_id}")
    change_customers(store, config.tenant.tenant_id, author, [customer_id], complete_attributes)


def _find_flow(catalogue: Catalogue, config: DecideConfig) -> DecisionFlow:
    if config.decision_flow_id is not None:
        found = [flow for flow in catalogue.flows.values() if config.decision_flow_id in (flow.id, flow.key)]
        flow = found[0] if found else catalogue.choose_flow(config.decision_flow_id, None, None)
    else:
        flow = catalogue.choose_flow(config.flow_key, config.channel_id, config.placement_id)
    if flow is None:
        raise StepError(f"there is no published active flow {config.flow_key or config.decision_flow_id!r}")
    return flow
