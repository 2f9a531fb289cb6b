"""Records responses: into Kafka, once, and acknowledged only when it has them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from api.http.errors import ApiError, invalid
from api.http.times import iso
from api.respond.schemas import Acknowledgement
from api.respond.subject_finder import find_faults
from api.runtime.idempotency import WrittenEvent
from rapport.domain.events import (
    NO_OBJECT,
    InteractionRecorded,
    decode_event,
    encode_event,
    make_message_key,
    resolve_time,
)
from rapport.domain.faults import Fault
from rapport.domain.outcomes import OutcomeCategory, OutcomeType, classify, derive_direction, explain_negative_value
from rapport.domain.payloads import hash_payload
from rapport.domain.placeholders import explain_placeholder
from rapport.domain.rejections import Rejection
from rapport.kafka.sources import make_event_id
from rapport.storage.recorded_events import EventKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.http.metrics import ApiMetrics
    from api.respond.schemas import ResponseBody
    from api.respond.subject_finder import SubjectFinder
    from api.runtime.event_producer import EventProducer
    from api.runtime.idempotency import IdempotencyStore
    from api.runtime.tenant_cache import TenantCache
    from api.runtime.watermark import Watermark
    from rapport.domain.payloads import PayloadHashes
    from rapport.domain.tenants import Tenant

ROUTE = "/api/v1/respond"


class RespondService:
    """Responses of every tenant's customers."""

    def __init__(
        self,
        *,
        tenants: TenantCache,
        subjects: SubjectFinder,
        idempotency: IdempotencyStore,
        producer: EventProducer,
        watermark: Watermark,
        metrics: ApiMetrics,
    ) -> None:
        self._tenants = tenants
        self._subjects = subjects
        self._idempotency = idempotency
        self._producer = producer
        self._watermark = watermark
        self._metrics = metrics

    async def respond(self, tenant_id: str, answer: ResponseBody, key: str) -> Acknowledgement:
        """Record a response.

        Args:
            tenant_id: Tenant of the customer.
            answer: Body of the response.
            key: The idempotency key.

        Raises:
            ApiError: 400 with every fault; 404 for an unknown subject if the tenant is strict about them; 409 if the
                key was used for another response; 503 if Kafka does not take it, and then sending it again is safe.
        """
        tenant = await self._tenants.get(tenant_id)
        faults = find_faults(answer)
        if nobody := explain_placeholder(answer.customer_id):
            faults.append(Fault(field="customerId", message=nobody))
        outcome_type = await self._find_outcome(tenant, answer.outcome, faults)
        occurred_at_ms = _resolve_time(answer.timestamp, faults)
        if outcome_type is not None:
            faults += _value_faults(answer, outcome_type)
        if faults or outcome_type is None:
            raise invalid(*faults)
        subject = await self._subjects.find(tenant_id, answer, is_strict=tenant.settings.is_catalogue_strict)
        event = InteractionRecorded(
            tenant_id=tenant_id,
            customer_id=answer.customer_id,
            outcome=answer.outcome,
            idempotency_key=key,
            offer_id=subject.offer_id,
            creative_id=subject.creative_id,
            channel_id=subject.channel_id,
            placement_id=subject.placement_id,
            direction=answer.direction,
            # Without one the broker's time counts: what is sent again must not differ from what was sent first.
            timestamp=answer.timestamp,
            conversion_value=answer.conversion_value,
            recommendation_id=subject.recommendation_id,
            rank=subject.rank,
            context=_raw(answer.context),
            outcome_details=_raw(answer.outcome_details),
            metadata=_raw(answer.metadata),
        )
        text = encode_event(event)
        as_read = decode_event(text)  # by the stream: what is acknowledged must be usable
        if isinstance(as_read, Rejection):
            raise invalid(Fault(field="body", message=as_read.detail))
        payload = hash_payload(event, occurred_at_ms)
        written, is_duplicate = await self._idempotency.write_once(
            EventKey(tenant_id, answer.customer_id, key),
            payload,
            lambda: self._write(event, text, payload),
        )
        if not is_duplicate:
            self._metrics.accepted.labels(ROUTE).inc()
        return Acknowledgement(
            interaction_id=written.interaction_id,
            duplicate=is_duplicate,
            position=written.position,
            customer_id=answer.customer_id,
            outcome=answer.outcome,
            offer_id=subject.offer_id,
            creative_id=subject.creative_id,
            channel_id=subject.channel_id,
            placement_id=subject.placement_id,
            recommendation_id=subject.recommendation_id,
            rank=subject.rank,
            direction=answer.direction or derive_direction(outcome_type.category),
            timestamp=iso(written.occurred_at_ms),
            warnings=subject.warnings,
        )

    async def _write(self, event: InteractionRecorded, text: bytes, payload: PayloadHashes) -> WrittenEvent:
        key = make_message_key(event.tenant_id, event.customer_id)
        partition = self._producer.choose_partition(key)
        source = self._watermark.find_source(partition)
        written = await self._producer.send(partition, key, text)
        occurred_at_ms = resolve_time(event.timestamp, written.timestamp_ms)
        if isinstance(occurred_at_ms, Rejection):  # checked before; the broker's clock must be off by a day
            raise ApiError(400, occurred_at_ms.detail)
        return WrittenEvent(
            interaction_id=make_event_id(occurred_at_ms, source, written.offset, 0),
            position=f"{partition}:{written.offset}",
            occurred_at_ms=occurred_at_ms,
            payload_hash=payload.payload_hash,
        )

    async def _find_outcome(self, tenant: Tenant, outcome: str, faults: list[Fault]) -> OutcomeType | None:
        now_ms = time.time_ns() // 1_000_000
        found = classify(outcome, now_ms, tenant.outcomes)
        if found is None:
            await self._tenants.refresh()  # it may be new
            tenant = await self._tenants.get(tenant.tenant_id)
            found = classify(outcome, now_ms, tenant.outcomes)
        if found is None or found.category is OutcomeCategory.RECOMMENDATION:
            valid = valid_outcomes(tenant, now_ms)
            faults.append(Fault(field="outcome", message=f"{outcome[:64]!r} is not one of {', '.join(valid)}"))
            return None
        return found


def valid_outcomes(tenant: Tenant, now_ms: int) -> list[str]:
    """List the outcomes that may be sent now."""
    found = ((key, classify(key, now_ms, tenant.outcomes)) for key in sorted(tenant.outcomes))
    return [
        key
        for key, outcome_type in found
        if outcome_type and outcome_type.category is not OutcomeCategory.RECOMMENDATION
    ]


def _value_faults(answer: ResponseBody, outcome_type: OutcomeType) -> list[Fault]:
    detail = explain_negative_value(
        answer.outcome, answer.conversion_value, is_allowed=outcome_type.allows_negative_value
    )
    return [Fault(field="conversionValue", message=detail)] if detail else []


def _resolve_time(timestamp: str | None, faults: list[Fault]) -> int:
    now_ms = time.time_ns() // 1_000_000
    resolved = resolve_time(timestamp, now_ms)
    if isinstance(resolved, Rejection):
        faults.append(Fault(field="timestamp", message=resolved.detail))
        return now_ms
    return resolved


def _raw(value: Mapping[str, Any] | None) -> msgspec.Raw:
    return NO_OBJECT if value is None else msgspec.Raw(msgspec.json.encode(value))
