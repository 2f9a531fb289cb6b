"""Contact profiles as CSV (RFC 4180): a header, then one row a profile.

The fields of the person are columns ``profile.<name>``. A text is a cell as it is; everything else, and a text that
would read as JSON, is a cell of JSON; a missing field is an empty cell. A cell that a spreadsheet would take for a
formula begins with an apostrophe, and so does one that begins with an apostrophe itself: whoever reads the file drops
one apostrophe at the beginning of a cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

COLUMNS: Final = ("_id", "active", "contactIds", "createdAt", "createdBy", "lastChanged", "lastChangedBy")
"""Of every file; what a person has more comes behind them."""
PERSON: Final = "profile"
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")
"""How formulas begin, in full width too, and the apostrophe that takes the danger away."""


def to_csv(entities: Sequence[Mapping[str, Any]], columns: Iterable[str] = COLUMNS) -> bytes:
    """A file.

    Args:
        entities: One a row.
        columns: Come first.
    """
    rows = [_flattened(entity) for entity in entities]
    header = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(row[name]) if name in row else "" for name in header] for row in rows)
    return text.getvalue().encode()


def _flattened(entity: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: value for name, value in entity.items() if name != PERSON}
    return row | {f"{PERSON}.{name}": value for name, value in entity.get(PERSON, {}).items()}


def _cell(value: Any) -> str:  # noqa: ANN401 - whatever JSON has
    cell = value if isinstance(value, str) and not _reads_as_json(value) else msgspec.json.encode(value).decode()
    return f"'{cell}" if cell.startswith(_DANGEROUS) else cell


def _reads_as_json(text: str) -> bool:
    if not text:
        return True  # an empty cell says that there is nothing
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
