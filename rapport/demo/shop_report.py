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


def show_decisions(console: Console, found: Decisions) -> None:
    """Print the offers for a customer, and the effect of formulas and caps on them."""
    console.print(_offers("Recommended to somebody who has never bought anything", found.as_new))
    console.print(_offers(f"The same formulas for {found.customer_id}, who has bought often", found.as_loyal))
    console.print(f"The customer clicks on {found.clicked}. After {CAP} recommendations on one day:\n", highlight=False)
    console.print(_offers(f"{found.missing} is missing", found.capped))
    console.print(f"Why not {found.missing}? [bold]{found.reason}[/]\n", highlight=False)


def _offers(title: str, offered: Sequence[RecommendedOffer]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("rank", "offer", "score", "price", "headline"):
        table.add_column(name, justify="right" if name in {"rank", "score", "price"} else "left")
    for one in offered:
        table.add_row(str(one.rank), one.name, f"{one.score:.3f}", f"{one.price:.2f}", one.headline)
    return table
