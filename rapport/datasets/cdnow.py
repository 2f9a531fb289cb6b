"""CDNOW: purchases of 23,570 customers of an online CD store between January 1997 and June 1998.

Source: P. Fader and B. Hardie, "Notes on the CDNOW Master Data Set"; shipped in the package lifetimes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from rapport.datasets.totals import Totals
from rapport.datasets.wheels import DatasetError, Wheel
from rapport.domain.events import InteractionRecorded

if TYPE_CHECKING:
    from collections.abc import Iterator

WHEEL: Final = Wheel(
    project="lifetimes",
    version="0.11.3",
    sha256="261e3dc89977c2b60767ca6728aaa29d429de0c814635070a749c36555895da8",
)
MEMBER: Final = "lifetimes/datasets/CDNOW_master.txt"
TOTALS: Final = Totals(events=69_659, customers=23_570, total_value=Decimal("2500315.63"))
OFFER: Final = "compact-discs"
CHANNEL: Final = "web"


def read_purchases(text: str, tenant_id: str) -> Iterator[InteractionRecorded]:
    """Convert the file to events: one purchase is one ``convert`` at noon UTC of its day, with its dollars.

    The file has days, not times. 215 lines are there more than once: a customer bought the same again on that day, and
    each counts. So a line's number is its identity, never its content.

    Args:
        text: A header, then lines of customer, YYYYMMDD, number of CDs, dollars.
        tenant_id: Tenant of the events.

    Raises:
        DatasetError: A line of another form.
    """
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split()
        if number == 1 or not cells:
            continue
        if len(cells) != 4:
            raise DatasetError(f"line {number} of the CDNOW file has {len(cells)} columns instead of 4")
        customer, day, discs, dollars = cells
        yield InteractionRecorded(
            tenant_id=tenant_id,
            customer_id=customer,
            outcome="convert",
            idempotency_key=f"cdnow:{number}",
            offer_id=OFFER,
            channel_id=CHANNEL,
            timestamp=f"{day[:4]}-{day[4:6]}-{day[6:]}T12:00:00Z",
            conversion_value=float(dollars),
            outcome_details=msgspec.Raw(b'{"compactDiscs":%d}' % int(discs)),
        )
