"""Report of the demo's decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from rapport.demo.shop import CAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from rapport.demo.shop import Decisions, RecommendedOffer


def show_decisions(console: Console, decisions: Decisions) -> None:
    """Print the offers for a customer, and the effect of formulas and caps on them."""
    console.print(_make_offer_table("Recommended to a customer who has never bought anything", decisions.as_new))
    console.print(
        _make_offer_table(f"The same formulas for {decisions.customer_id}, who has bought often", decisions.as_loyal)
    )
    console.print(
        f"The customer clicks on {decisions.clicked}. After {CAP} recommendations on one day:\n", highlight=False
    )
    console.print(_make_offer_table(f"{decisions.missing} is missing", decisions.capped))
    console.print(f"Why not {decisions.missing}? [bold]{decisions.reason}[/]\n", highlight=False)


def _make_offer_table(title: str, offers: Sequence[RecommendedOffer]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("rank", "offer", "score", "price", "headline"):
        table.add_column(name, justify="right" if name in {"rank", "score", "price"} else "left")
    for offer in offers:
        table.add_row(str(offer.rank), offer.name, f"{offer.score:.3f}", f"{offer.price:.2f}", offer.headline)
    return table
