"""Seeded events: few customers and offers, so that rows collide, over some months, with cents."""

from __future__ import annotations

import json
import random
from typing import Any

START_MS = 1_735_000_000_000  # 2024-12-24: the weeks and the months around a turn of the year
OUTCOMES = ("impression", "impression", "impression", "click", "dismiss", "convert", "deferred", "recommendation")


def make_events(rng: random.Random, count: int, *, tenant: str = "acme", customers: int = 40) -> list[dict[str, Any]]:
    """Make events with unique idempotency keys and unique times."""
    times = rng.sample(range(90 * 86_400), count)
    return [
        {
            "tenantId": tenant,
            "customerId": f"customer-{rng.randrange(customers)}",
            "outcome": (outcome := rng.choice(OUTCOMES)),
            "idempotencyKey": f"{rng.getrandbits(64):016x}",
            "timestamp": START_MS + seconds * 1000 + rng.randrange(1000),
            "offerId": rng.choice(("offer-a", "offer-b", None)),
            "creativeId": rng.choice(("creative-a", None)),
            "channelId": rng.choice(("email", "web")),
            **({"conversionValue": rng.randrange(1, 100_000) / 100} if outcome == "convert" else {}),
        }
        for seconds in times
    ]


def encode(event: dict[str, Any] | list[dict[str, Any]]) -> bytes:
    """Encode an event, or an array of them, as a producer would."""
    return json.dumps(event).encode()
