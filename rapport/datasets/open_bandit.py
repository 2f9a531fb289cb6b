"""Open Bandit: impressions and clicks on a fashion shop's page in a week of November 2019.

Source: Y. Saito et al., "Open Bandit Dataset and Pipeline"; a sample is shipped in the package obp. Two logging
policies (uniformly random, and Bernoulli Thompson sampling) in two campaigns (all items, men's items).
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

import msgspec
from xxhash import xxh3_64_hexdigest

from rapport.datasets.wheels import Wheel
from rapport.domain.events import InteractionRecorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WHEEL: Final = Wheel(
    project="obp",
    version="0.4.1",
    sha256="87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208",
)
POLICIES: Final = ("random", "bts")
CAMPAIGNS: Final = ("all", "men")
CHANNEL: Final = "web"
IMPRESSIONS: Final = 40_000
CLICKS: Final = 195
_FEATURES: Final = tuple(f"user_feature_{index}" for index in range(4))


def name_member(policy: str, campaign: str) -> str:
    """Return the path of a policy's and campaign's file inside the wheel."""
    return f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv"


def read_log(text: str, policy: str, campaign: str, tenant_id: str) -> Iterator[InteractionRecorded]:
    """Convert one file to events: each row an ``impression`` and, if it was clicked, a ``click`` right after it.

    The data names no visitors: those with equal features are taken for one customer. Item ids count from 0 in each
    campaign and mean other items there, so an offer's id names the campaign too.

    Args:
        text: CSV with a header: timestamp, item_id, position, click, propensity_score, user features …
        policy: Policy that chose the items.
        campaign: Set of items it could choose from.
        tenant_id: Tenant of the events.
    """
    for number, row in enumerate(csv.DictReader(text.splitlines()), 2):
        place = f"open-bandit:{policy}/{campaign}:{number}"
        yield _make_event(row, policy, campaign, tenant_id, outcome="impression", key=place)
        if row["click"] == "1":
            yield _make_event(row, policy, campaign, tenant_id, outcome="click", key=f"{place}:click")


def _make_event(
    row: Mapping[str, str], policy: str, campaign: str, tenant_id: str, *, outcome: str, key: str
) -> InteractionRecorded:
    features = "/".join(row[name] for name in _FEATURES)
    context = {"policy": policy, "campaign": campaign, "propensity": float(row["propensity_score"])}
    return InteractionRecorded(
        tenant_id=tenant_id,
        customer_id=f"visitor-{xxh3_64_hexdigest(features.encode())}",
        outcome=outcome,
        idempotency_key=key,
        offer_id=f"{campaign}-{row['item_id']}",
        channel_id=CHANNEL,
        placement_id=f"position-{row['position']}",
        timestamp=row["timestamp"].replace(" ", "T", 1),
        context=msgspec.Raw(msgspec.json.encode(context)),
    )
