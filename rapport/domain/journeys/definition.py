"""Journeys: what is done with a customer, step after step, over days."""

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
"""More than a century: whoever wants history to start journeys can have it."""
UNIT_MS: Final[Mapping[str, int]] = {"minutes": MINUTE_MS, "hours": 60 * MINUTE_MS, "days": 1_440 * MINUTE_MS}


class WaitConfig(Config, frozen=True, kw_only=True):
    """Nothing happens for a while."""

    duration: Annotated[float, msgspec.Meta(gt=0, le=525_600)]
    unit: Literal["minutes", "hours", "days"] = "days"

    @property
    def length_ms(self) -> int:
        """In milliseconds, at least one."""
        return max(1, round(self.duration * UNIT_MS[self.unit]))


class BranchCondition(Value, frozen=True):
    """Where to go on if a formula is true."""

    expression: Annotated[str, msgspec.Meta(min_length=1)]
    target_step_id: Key
    label: str = ""


class BranchConfig(Config, frozen=True, kw_only=True):
    """The first condition that is true says where to go on; none: ``default_step_id``, else the step after this one."""

    conditions: Annotated[Sequence[BranchCondition], msgspec.Meta(min_length=1, max_length=50)]
    default_step_id: Key | None = None


class DecideConfig(Config, frozen=True, kw_only=True):
    """Have a decision flow choose offers, and keep them.

    Attributes:
        flow_key: Of the flow; without it and without ``decision_flow_id``, the tenant's default.
        store_result_as: By which name later steps find the offers.
    """

    flow_key: Key | None = None
    decision_flow_id: Id | None = None
    channel_id: Id | None = None
    placement_id: Id | None = None
    max_offers: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    store_result_as: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = "decision"


class SendConfig(Config, frozen=True, kw_only=True):
    """Contact the customer: record it as an outbound interaction, for whoever delivers and counts.

    Attributes:
        creative_id: What is sent; else what a decision before has chosen.
        from_result: The ``store_result_as`` of that decision. Where it chose nothing, nothing is sent.
        rank: Which of its offers.
        channel_id: By default the creative's.
        outcome: By which the contact is recorded.
    """

    creative_id: Id | None = None
    from_result: str | None = None
    rank: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    channel_id: Id | None = None
    outcome: Key = "impression"


class UpdateConfig(Config, frozen=True, kw_only=True):
    """Change what is kept of the customer.

    Attributes:
        attributes: Values by attribute; null takes one away.
        expressions: Formulas by attribute.
    """

    attributes: Mapping[str, Any] = {}
    expressions: Mapping[str, str] = {}


class EndConfig(Config, frozen=True, kw_only=True):
    """The journey is complete."""


CONFIGS: Final[Mapping[str, type[Config]]] = {
    "wait": WaitConfig,
    "branch": BranchConfig,
    "decide": DecideConfig,
    "send": SendConfig,
    "update": UpdateConfig,
    "end": EndConfig,
}


class JourneyStep(Value, frozen=True):
    """One step; ``config`` depends on ``type``, see :mod:`rapport.domain.journeys.definition`.

    Attributes:
        next: The step after this one; by default the one that follows in the list, and the end after the last.
    """

    id: Key
    type: Literal["wait", "branch", "decide", "send", "update", "end"]
    name: str = ""
    config: Mapping[str, Any] = {}
    next: Key | None = None


class JourneyDefinition(Value, frozen=True):
    """The steps.

    Attributes:
        start: The first step; by default the first of the list.
    """

    steps: Annotated[Sequence[JourneyStep], msgspec.Meta(min_length=1, max_length=MAX_STEPS)]
    start: Key | None = None


class EntryCondition(Value, frozen=True):
    """Which events let a customer enter.

    Attributes:
        outcomes: One of these; at least one.
        offer_ids: About one of these offers; none: about any, likewise the others.
        expression: A formula that must be true, too; see docs/journeys.md for what it can ask.
        max_event_age_hours: What had happened longer before it was received lets nobody enter: it is imported history.
    """

    outcomes: Annotated[Sequence[Key], msgspec.Meta(min_length=1, max_length=50)]
    offer_ids: Annotated[Sequence[str], msgspec.Meta(max_length=1_000)] = ()
    creative_ids: Annotated[Sequence[str], msgspec.Meta(max_length=1_000)] = ()
    channel_ids: Annotated[Sequence[str], msgspec.Meta(max_length=1_000)] = ()
    expression: str = ""
    max_event_age_hours: Annotated[float, msgspec.Meta(gt=0, le=MAX_AGE_HOURS)] = 72


class Journey(Entity, frozen=True):
    """What is done with a customer, step after step.

    Attributes:
        entry_condition: Without one, customers enter by the API alone.
        max_duration_days: Who is still in it then leaves it.
        allows_reentry: Whether a customer whose journey has ended may enter again.
    """

    definition: JourneyDefinition
    entry_condition: EntryCondition | None = None
    max_duration_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 30
    allows_reentry: bool = False
