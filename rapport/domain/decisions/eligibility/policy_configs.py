"""Configs of contact policies, by type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from rapport.domain.conditions import Condition, Operator
from rapport.domain.configs import Config
from rapport.domain.decisions.windows import ALL_TIME, Window, WindowKind, WindowUnit, WindowZone

_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Days = Annotated[float, msgspec.Meta(gt=0, le=3_650)]
COMPLAINTS: Final = ("complaint", "unsubscribe", "unsubscribed", "opt_out", "hard_bounce", "spam_report")
REFUSALS: Final = ("dismiss", "not_interested", "complaint", "opt_out")


class PolicyConfig(Config, frozen=True, kw_only=True):
    """Config fields that every policy has.

    Attributes:
        bypassable: Whether mandatory offers are exempt.
    """

    bypassable: bool = True


class CapConfig(PolicyConfig, frozen=True, kw_only=True):
    """Frequency caps; at least one maximum is required.

    Attributes:
        max_contacts: Maximum in a rolling window of ``window_days`` or ``window_hours``.
        window: calendar: the day, ISO week or month; rolling: 24 hours, 7 days or 30 days.
        time_zone: Time zone of calendar windows.
        counts: Events that count; ``contacts`` are impressions and all responses.
    """

    max_per_day: _Positive | None = None
    max_per_week: _Positive | None = None
    max_per_month: _Positive | None = None
    max_total: _Positive | None = None
    max_contacts: _Positive | None = None
    window_days: _Positive | None = None
    window_hours: _Positive | None = None
    window: WindowKind = WindowKind.CALENDAR
    time_zone: WindowZone = WindowZone.TENANT
    counts: Literal["impressions", "contacts", "responses", "positive", "converts"] = "impressions"

    def list_limits(self) -> list[tuple[Window, int]]:
        """Return the windows with their maxima."""
        given = (
            (self.max_per_day, WindowUnit.DAY),
            (self.max_per_week, WindowUnit.WEEK),
            (self.max_per_month, WindowUnit.MONTH),
        )
        limits = [(Window(self.window, unit, self.time_zone), most) for most, unit in given if most is not None]
        if self.max_total is not None:
            limits.append((ALL_TIME, self.max_total))
        if self.max_contacts is not None:
            unit = WindowUnit.HOUR if self.window_hours else WindowUnit.DAY
            length = self.window_hours or self.window_days or 1
            limits.append((Window(WindowKind.ROLLING, unit, count=length), self.max_contacts))
        return limits


class CooldownConfig(PolicyConfig, frozen=True, kw_only=True):
    """Minimum time between contacts."""

    cooldown_hours: Annotated[float, msgspec.Meta(gt=0)]


class BudgetConfig(PolicyConfig, frozen=True, kw_only=True):
    """Limit on the offer's own budgets; ``threshold`` is the share at which a budget counts as used up."""

    threshold: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0


class OutcomeConfig(PolicyConfig, frozen=True, kw_only=True):
    """Suppression for some days after an outcome.

    Attributes:
        ended_by: Outcomes that end the suppression early if they come later and in the same scope.
        ended_by_consent: Purposes of consent; a later grant of any of them ends the suppression early, too.
        preset: ``complaints`` adds the usual outcomes of complaints and opt-outs.
    """

    after_outcome: str | Sequence[str] = ()
    ended_by: Sequence[str] = ()
    ended_by_consent: Sequence[str] = ()
    preset: Literal["complaints"] | None = None
    suppress_for_days: _Days = 30.0

    @property
    def outcomes(self) -> tuple[str, ...]:
        """All outcomes that start the suppression, those of the preset included."""
        named = (self.after_outcome,) if isinstance(self.after_outcome, str) else tuple(self.after_outcome)
        return named + (COMPLAINTS if self.preset else ())


class SegmentConfig(PolicyConfig, frozen=True, kw_only=True):
    """Segments whose customers are never contacted."""

    exclude_segments: Annotated[Sequence[str], msgspec.Meta(min_length=1)]


class HoursConfig(PolicyConfig, frozen=True, kw_only=True):
    """Allowed contact times: ISO weekdays (1 is Monday) and hours, end excluded; 22 to 6 spans midnight."""

    allowed_days: Sequence[Annotated[int, msgspec.Meta(ge=1, le=7)]] = (1, 2, 3, 4, 5, 6, 7)
    start_hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 0
    end_hour: Annotated[int, msgspec.Meta(ge=0, le=24)] = 24
    time_zone: WindowZone = WindowZone.TENANT


class ExclusionConfig(PolicyConfig, frozen=True, kw_only=True):
    """Group of offers of which a customer sees only one within some days."""

    offer_group: Annotated[Sequence[str], msgspec.Meta(min_length=2)]
    within_days: _Days = 30.0


class OverrideConfig(PolicyConfig, frozen=True, kw_only=True):
    """Conditions under which candidates are exempt from all policies; no conditions: always."""

    conditions: Sequence[Condition] = ()


class CategoryConfig(PolicyConfig, frozen=True, kw_only=True):
    """Suppression of a category (any category if none is named) after the customer refused one of its offers."""

    category_id: str | None = None
    sub_category_id: str | None = None
    suppression_days: _Days = 30.0
    after_outcome: Sequence[str] = REFUSALS


class MetricConfig(PolicyConfig, frozen=True, kw_only=True):
    """Condition on a behavioral metric that blocks while it holds; a customer without a value is not blocked."""

    metric: str
    operator: Operator = "gte"
    value: Any = None
