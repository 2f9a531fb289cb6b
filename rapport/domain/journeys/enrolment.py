"""Customers in journeys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from rapport.domain.json_limits import MAX_DEPTH, UNREADABLE, is_too_deep
from rapport.domain.times import LATEST_MS


class EnrolmentStatus(StrEnum):
    """Where an enrolment stands.

    Attributes:
        COMPLETED: The end was reached.
        EXITED: Somebody took the customer out, or the journey has ended.
        EXPIRED: It took longer than the journey allows.
        FAILED: A step cannot be done.
    """

    ACTIVE = "active"
    COMPLETED = "completed"
    EXITED = "exited"
    EXPIRED = "expired"
    FAILED = "failed"


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A customer in a journey.

    Attributes:
        version: Of this state; ascends by one with each change that is written.
        journey_version: Of the journey, which the customer stays with.
        step: Where the customer is; of one that ended, where that was.
        entered_at_ms: When the customer came to the step.
        due_at_ms: When there is something to do.
        visits: How often the customer has come to each step.
        entry: The event by which the customer entered: outcome, offerId, creativeId, channelId, value, timestamp.
        results: What decisions chose, by the names under which they are stored.
        pending: What the update of this step writes, worked out once: it is the same however often it is tried.
        setbacks: How often in a row what there is to do at the step has failed unexpectedly.
        reason: Why it ended, where that needs one; of an active one, what its latest setback was.
    """

    id: str
    journey_id: str
    journey_version: int
    customer_id: str
    version: int = 1
    status: EnrolmentStatus = EnrolmentStatus.ACTIVE
    step: str
    entered_at_ms: int
    due_at_ms: int
    enrolled_at_ms: int
    expires_at_ms: int
    ended_at_ms: int | None = None
    visits: Mapping[str, int] = {}
    entry: Mapping[str, Any] = {}
    results: Mapping[str, Sequence[Mapping[str, Any]]] = {}
    pending: Mapping[str, Any] | None = None
    setbacks: int = 0
    reason: str = ""


def make_enrolment_id(tenant_id: str, journey_id: str, customer_id: str, entry: str) -> str:
    """The id of an enrolment; the same for the same entry.

    Args:
        tenant_id: Whose.
        journey_id: Which journey.
        customer_id: Who.
        entry: Tells entries apart; empty where there can be only one.
    """
    text = f"{tenant_id}\0{journey_id}\0{customer_id}\0{entry}"
    return f"enr_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def decode_enrolment(state: str, columns: Mapping[str, Any]) -> Enrolment:
    """Decode a stored state; of one that cannot be read, ``entry`` holds the text, and columns tell where it stands.

    Args:
        state: As JSON, perhaps from before there were limits.
        columns: Of its row, named as in table ``journey_enrollment_versions``, times as epoch milliseconds.
    """
    try:
        if not is_too_deep(state.encode(), 2 * MAX_DEPTH):
            return _decode(state)
    except msgspec.DecodeError:
        pass
    return Enrolment(
        id=columns["enrollment_id"],
        journey_id=columns["journey_id"],
        journey_version=columns["journey_version"],
        customer_id=columns["customer_id"],
        version=columns["version"],
        status=EnrolmentStatus(columns["status"]),
        step=columns["step"],
        entered_at_ms=columns["enrolled_at_ms"],
        due_at_ms=columns["due_at_ms"],
        enrolled_at_ms=columns["enrolled_at_ms"],
        expires_at_ms=LATEST_MS,
        ended_at_ms=columns["ended_at_ms"],
        entry={UNREADABLE: state},
    )


_decode: Final = msgspec.json.Decoder(Enrolment).decode
