"""Unified profile of the demo's customer, with lifetime values of all customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from rapport.demo.shop import ShopApi

LATEST = 3
"""Number of interactions shown."""


def read_profile(api: ShopApi, customer_id: str) -> dict[str, Any]:
    """Have the lifetime values of all customers computed, and read the structured profile of one.

    Raises:
        ReplayError: The API does not answer as it should.
    """
    api.post("/clv/compute", {})
    return api.get(f"/customers/{customer_id}/unified-profile?format=structured")


def show_profile(console: Console, profile: Mapping[str, Any]) -> None:
    """Print a structured profile."""
    table = Table(
        title=f"Unified profile of {profile['customerId']}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("section")
    table.add_column("what is known")
    for section, text in _format_lines(profile):
        table.add_row(section, text)
    console.print(table)


def _format_lines(profile: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if known := profile["demographics"]:
        attributes = [f"{name} {value}" for name, value in known["attributes"].items()]
        yield "demographics", ", ".join(attributes) or "no attributes are kept"
    if done := profile["interactions"]:
        totals = done["totals"]
        yield "interactions", f"{totals['converts']} purchases, together {totals['totalValue']:,.2f}"
        for interaction in done["recent"][:LATEST]:
            yield "", f"{interaction['timestamp'][:10]}  {interaction['interactionType']}  {interaction['offerId']}"
    if value := profile["clv"]:
        yield (
            "clv",
            f"score {value['clvScore']}, segment {value['segment']}, last seen {value['rfmRecency']:,} days ago",
        )
        yield "", f"24 months at this rate: {value['predictedRevenue']:,.2f}"
    if metrics := profile["metrics"]:
        yield (
            "metrics",
            ", ".join(f"{key} {'unknown' if metric is None else f'{metric:g}'}" for key, metric in metrics.items()),
        )
    if (suppressed := profile["suppressions"]) is not None:
        held = [suppression["reason"] for suppression in suppressed if suppression["isActive"]]
        yield "suppressions", ", ".join(held) or f"none holds; {len(suppressed)} have ended"
    for fault in profile["errors"]:
        yield fault["section"], f"[red]{fault['message']}[/]"
