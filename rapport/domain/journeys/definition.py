"""Definitions of journeys: steps that a customer passes through over days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from rapport.domain.catalogue.values import Entity, Id, Key, Value
from rapport.domain.configs import Config

MAX_STEPS: Final = 200
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
MAX_AGE_HOURS: Final = 1_000_000
"""More than a century, so that imported history can start journeys on request."""
UNIT_MS: Final[Mapping[str, int]] = {"minutes": MINUTE_MS, "hours": 60 * MINUTE_MS, "days": 1_440 * MINUTE_MS}


class WaitConfig(Config, frozen=True, kw_only=True):
    """Step that waits."""

    duration: Annotated[float, msgspec.Meta(gt=0, le=525_600)]
    unit: Literal["minutes", "hours", "days"] = "days"

    @property
    def length_ms(self) -> int:
        """Duration in milliseconds, at least one."""
        return max(1, round(self.duration * UNIT_MS[self.unit]))


class BranchCondition(Value, frozen=True):
    """Formula of a branch, and the step to go to if it is true."""

    expression: Annotated[str, msgspec.Meta(min_length=1)]
    target_step_id: Key
    label: str = ""


class BranchConfig(Config, frozen=True, kw_only=True):
    """Branch to the target of the first true condition, else to ``default_step_id``, else to the next step."""

    conditions: Annotated[Sequence[BranchCondition], msgspec.Meta(min_length=1, max_length=50)]
    default_step_id: Key | None = None


class DecideConfig(Config, frozen=True, kw_only=True):
    """Step that has a decision flow choose offers, and stores them.

    Attributes:
        flow_key: Key of the flow; without it and without ``decision_flow_id``, the tenant's default.
        store_result_as: Name under which later steps find the offers.
    """

    flow_key: Key | None = None
    decision_flow_id: Id | None = None
    channel_id: Id | None = None
    placement_id: Id | None = None
    max_offers: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    store_result_as: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = "decision"


class SendConfig(Config, frozen=True, kw_only=True):
    """Step that contacts the customer: an outbound interaction is recorded, for the systems that deliver and count.

    Attributes:
        creative_id: Creative to send; else one that an earlier decision chose.
        from_result: The ``store_result_as`` of that decision. If it chose nothing, nothing is sent.
        rank: Rank of the offer in that decision.
        channel_id: By default the creative's.
        outcome: Outcome of the recorded contact.
    """

    creative_id: Id | None = None
    from_result: str | None = None
    rank: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    channel_id: Id | None = None
    outcome: Key = "impression"


class UpdateConfig(Config, frozen=True, kw_only=True):
    """Step that changes the customer's stored attributes.

    Attributes:
        attributes: Values by attribute; null removes one.
        expressions: Formulas by attribute.
    """

    attributes: Mapping[str, Any] = {}
    expressions: Mapping[str, str] = {}


class EndConfig(Config, frozen=True, kw_only=True):
    """Step that completes the journey."""


CONFIGS: Final[Mapping[str, type[Config]]] = {
    "wait": WaitConfig,
    "branch": BranchConfig,
    "decide": DecideConfig,
    "send": SendConfig,
    "update": UpdateConfig,
    "end": EndConfig,
}


class JourneyStep(Value, frozen=True):
    """Step of a journey; ``config`` depends on ``type``.

    Attributes:
        next: The step after this one; by default the one that follows in the list, and the end after the last.
    """

    id: Key
    type: Literal["wait", "branch", "decide", "send", "update", "end"]
    name: str = ""
    config: Mapping[str, Any] = {}
    next: Key | None = None


class JourneyDefinition(Value, frozen=True):
    """Steps of a journey.

    Attributes:
        start: The first step; by default the first of the list.
    """

    steps: Annotated[Sequence[JourneyStep], msgspec.Meta(min_length=1, max_length=MAX_STEPS)]
    start: Key | None = None


class EntryCondition(Value, frozen=True):
    """Condition on events by which customers enter.

    Attributes:
        outcomes: Accepted outcomes; at least one.
        offer_ids: Accepted offers; empty for any, likewise the others.
        expression: A formula that must be true, too; docs/journeys.md lists the fields it can read.
        max_event_age_hours: Most hours between an event and its receipt; an older one is imported history.
    """

    outcomes: Annotated[Sequence[Key], msgspec.Meta(min_length=1, max_length=50)]
    offer_ids: Annotated[Sequence[str], msgspec.Meta(max_length=1_000)] = ()
    creative_ids: Annotated[Sequence[str], msgspec.Meta(max_length=1_000)] = ()
    channel_ids: Annotated[Sequence[str], msgspec.Meta(max_length=1_000)] = ()
    expression: str = ""
    max_event_age_hours: Annotated[float, msgspec.Meta(gt=0, le=MAX_AGE_HOURS)] = 72


class Journey(Entity, frozen=True):
    """Journey of customers through steps.

    Attributes:
        entry_condition: Without one, customers enter by the API alone.
        max_duration_days: A customer who is still in the journey after so many days expires.
        allows_reentry: Whether a customer whose journey has ended may enter again.
    """

    definition: JourneyDefinition
    entry_condition: EntryCondition | None = None
    max_duration_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 30
    allows_reentry: bool = False
