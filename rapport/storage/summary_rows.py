"""Summary rows of single customers, as they are stored: one for each source."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from rapport.domain.customers.customer import CustomerRef
from rapport.domain.summaries import StoredSummary
from rapport.storage.customer_reads import asked_arrays, unpack
from rapport.storage.versions import newest_versions

if TYPE_CHECKING:
    from rapport.storage.client import Store


_KEY_COLUMNS: Final = 8
_Packed = tuple[int, int, int, int, int, int, int, Decimal, int, str, str]
# not strict: a profile may have 64-bit numbers quoted in JSON
_decoder: Final = msgspec.json.Decoder(list[_Packed], strict=False)


def read_newest(
    store: Store, customers: Collection[CustomerRef], periods: Collection[str] = ()
) -> Iterable[StoredSummary]:
    """Read each summary row of some customers in its newest version, with one query.

    Args:
        store: Where.
        customers: Whose.
        periods: Keys of periods; all if empty.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    found = store.select("summaries/of_customers", {**asked_arrays(customers), "periods": sorted(periods)})
    wanted = set(customers)
    rows = (row for row in map(StoredSummary._make, unpack(found, _decoder)) if row.customer in wanted)
    return newest_versions(rows, key_columns=_KEY_COLUMNS)
