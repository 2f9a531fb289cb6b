"""Journeys for tests."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rapport.domain.journeys.definition import Journey
from rapport.domain.journeys.enrolment import Enrolment
from rapport.domain.journeys.plan import JourneyPlan, compile_journey
from rapport.domain.journeys.progress import enrol

MINUTE: Final = 60_000
DAY: Final = 1_440 * MINUTE
NOW: Final = 1_772_000_000_000
WELCOME: Final = [
    {"id": "hello", "type": "send", "config": {"creativeId": "cr_hello"}},
    {"id": "pause", "type": "wait", "config": {"duration": 3, "unit": "days"}},
    {"id": "choose", "type": "decide", "config": {"flowKey": "home", "storeResultAs": "picked"}},
    {"id": "offer", "type": "send", "config": {"fromResult": "picked", "channelId": "ch_email"}},
]
"""Greet, wait for three days, then send the best offer."""


def journey(*steps: dict[str, Any], **fields: Any) -> Journey:
    """Make a journey of some steps."""
    definition = {"steps": list(steps), **fields.pop("definition", {})}
    return msgspec.convert({"id": "jrn", "name": "Welcome", "definition": definition, **fields}, Journey)


def plan(*steps: dict[str, Any], **fields: Any) -> JourneyPlan:
    """Make a compiled journey of some steps."""
    return compile_journey(journey(*steps, **fields), 1)


def entered(ready: JourneyPlan, now_ms: int = NOW, **entry: Any) -> Enrolment:
    """Enrol a customer."""
    return enrol(ready, "enr_1", "ann", entry, now_ms)
