"""What steps of journeys do: choose offers, make the event that records a contact, change customers.

Each may be done again, under the same key and out of the same state, without a second effect. A decision that is made
again is recorded again, under an id of its own: the state, and the contact that comes of it, name the one that counts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rapport.application.decisions.load_facts import load_customer_contexts, load_decision_facts
from rapport.application.decisions.recommendation_id import make_recommendation_id
from rapport.application.decisions.software_versions import list_software_versions
from rapport.domain.decisions.candidates import Request
from rapport.domain.decisions.engine import decide
from rapport.domain.decisions.message import encode_decision
from rapport.domain.decisions.record import (
    DecisionRecord,
    WatermarkRecord,
    record_customer,
    record_request,
    record_tenant,
)
from rapport.domain.events import InteractionRecorded, Message, message_key
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
    """A step cannot be done as things are configured; the text says why."""


def decide_offers(
    store: Store,
    known: TenantConfiguration,
    customer_id: str,
    action: DecideAction,
    now_ms: int,
    context: Mapping[str, Any],
    positions: Mapping[str, int],
) -> DecisionRecord:
    """Have a decision flow choose offers for a customer.

    Args:
        store: Where facts are.
        known: Of the tenant.
        customer_id: Who.
        action: What the step says.
        now_ms: When, epoch milliseconds.
        context: Of the request.
        positions: Partition -> everything before this offset has been recorded.

    Raises:
        StepError: There is no such flow that may run.
        StorageError: ClickHouse does not answer.
    """
    started = time.perf_counter()
    config = action.config
    flow = _find_flow(known.catalogue, config)
    customer, tenant = load_decision_facts(store, known.tenant, known.catalogue, customer_id, now_ms)
    request = Request(
        customer_id=customer_id,
        channel_id=config.channel_id,
        placement_id=config.placement_id,
        limit=config.max_offers,
        context=context,
    )
    seed = int.from_bytes(hashlib.sha256(action.key.encode()).digest()[:SEED_BYTES])
    decision = decide(known.catalogue, flow, request, customer, tenant, now_ms=now_ms, seed=seed)
    return DecisionRecord(
        recommendation_id=make_recommendation_id(now_ms),
        customer_id=customer_id,
        decided_at_ms=now_ms,
        request=record_request(request),
        catalogue=known.catalogue.stamp,
        seed=seed,
        customer=record_customer(customer),
        tenant=record_tenant(tenant),
        watermark=WatermarkRecord(positions=positions),
        decision=decision,
        software=list_software_versions(known.catalogue),
        total_ms=round((time.perf_counter() - started) * 1000, 3),
    )


def list_offers(record: DecisionRecord) -> Sequence[Mapping[str, Any]]:
    """The offers that a decision has chosen, the best first, as a journey keeps them."""
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


def build_decision_message(known: TenantConfiguration, state: Enrolment, record: DecisionRecord) -> Message:
    """The message of a decision. That something is shown is said by the step that sends, and by no channel."""
    tenant_id = known.tenant.tenant_id
    value = encode_decision(
        tenant_id, record, msgspec.Raw(msgspec.json.encode(build_journey_context(state))), frozenset()
    )
    return Message(message_key(tenant_id, record.customer_id), value)


def build_journey_context(state: Enrolment) -> Mapping[str, Any]:
    """Where in a journey something happens, as its events and decisions say it."""
    return {"journey": {"journeyId": state.journey_id, "enrollmentId": state.id, "stepId": state.step}}


def build_contact_event(known: TenantConfiguration, enrollment: Enrolment, action: SendAction) -> InteractionRecorded:
    """The event that records a contact; the same however often it is made.

    Raises:
        StepError: What is to be sent is not there or not active.
    """
    creative = known.creatives.get(action.creative_id)
    if action.creative_id and creative is None:
        raise StepError(f"there is no active creative {action.creative_id!r} on an active channel")
    offer_id = action.offer_id or (creative.offer_id if creative else "")
    channel_id = action.channel_id or (creative.channel_id if creative else "")
    return InteractionRecorded(
        tenant_id=known.tenant.tenant_id,
        customer_id=enrollment.customer_id,
        outcome=action.outcome,
        idempotency_key=action.key,
        offer_id=offer_id or None,
        creative_id=action.creative_id or None,
        channel_id=channel_id or None,
        direction="outbound",
        timestamp=action.at_ms,
        recommendation_id=action.recommendation_id or None,
        rank=action.rank if action.recommendation_id else None,
        metadata=msgspec.Raw(msgspec.json.encode(build_journey_context(enrollment))),
    )


def find_contact_restriction(store: Store, known: TenantConfiguration, event: InteractionRecorded) -> str:
    """Why a customer may not be contacted so; empty if that is allowed."""
    merges = read_merges(store, known.tenant.tenant_id)
    sources = known.catalogue.attribute_sources
    customer = load_customer_contexts(store, known.tenant, {}, [event.customer_id], merges, sources)[event.customer_id]
    if customer.objections:
        return customer.objections[0]
    channel = known.catalogue.channels.get(event.channel_id or "")
    purpose = find_missing_purpose(channel.channel_type if channel else None, customer.withheld)
    return f"the customer has not consented to {purpose}" if purpose else ""


def update_customer(store: Store, known: TenantConfiguration, enrollment: Enrolment, action: UpdateAction) -> None:
    """Change what is kept of a customer.

    Raises:
        StepError: The attributes would not be as the tenant's schemas want them.
        StorageError: ClickHouse does not answer.
    """
    who = enrollment.customer_id

    def changed(before: CurrentCustomers) -> Mapping[str, Attributes | None]:
        known_now = before.get(who)
        kept = known_now.attributes if known_now and not known_now.is_deleted else None
        attributes = complete(known.form, action.attributes, kept)
        if isinstance(attributes, list):
            raise StepError("; ".join(f"{fault.field} {fault.message}" for fault in attributes))
        return {who: attributes}

    author = Author(f"journey {enrollment.journey_id}")
    change_customers(store, known.tenant.tenant_id, author, [who], changed)


def _find_flow(catalogue: Catalogue, config: DecideConfig) -> DecisionFlow:
    if config.decision_flow_id is not None:
        found = [flow for flow in catalogue.flows.values() if config.decision_flow_id in (flow.id, flow.key)]
        flow = found[0] if found else catalogue.choose_flow(config.decision_flow_id, None, None)
    else:
        flow = catalogue.choose_flow(config.flow_key, config.channel_id, config.placement_id)
    if flow is None:
        raise StepError(f"there is no published active flow {config.flow_key or config.decision_flow_id!r}")
    return flow
