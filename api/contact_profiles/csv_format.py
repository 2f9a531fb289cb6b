"""Contact profiles as CSV (RFC 4180): a header, then one row a profile.

The fields of the person are columns ``profile.<name>``. A text is a cell as it is; everything else, and a text that
would read as JSON, is a cell of JSON; a missing field is an empty cell.

No cell, and no name of a column, is a formula to a spreadsheet. One that begins like a formula, or with a tab, a line
end or an apostrophe, begins with an apostrophe. Spreadsheets leave out spaces and quotes, and some take a semicolon, a
bar or a tab for the end of a cell: before what would begin a formula behind these there is an apostrophe, too. Whoever
reads the file drops both again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

COLUMNS: Final = ("_id", "active", "contactIds", "createdAt", "createdBy", "lastChanged", "lastChangedBy")
"""Of every file; what a person has more comes behind them."""
PERSON: Final = "profile"
_SIGNS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that begin formulas, in full width too."""
_DANGEROUS: Final = (*_SIGNS, "\t", "\r", "\n", "'")
_RUN: Final = re.compile(r"[;|\s\x00-\x1f\"'\u200b-\u200f\u2060\ufeff]++")
"""Characters that spreadsheets may leave out at the beginning of a cell, or take for its end."""
_ENDS_CELL: Final = re.compile(r"[;|\t\r\n]")


def to_csv(entities: Sequence[Mapping[str, Any]], columns: Iterable[str] = COLUMNS) -> bytes:
    """Write a file.

    Args:
        entities: One a row.
        columns: Come first.
    """
    rows = [_flattened(entity) for entity in entities]
    header = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_neutralise(name) for name in header])
    writer.writerows([_cell(row[name]) if name in row else "" for name in header] for row in rows)
    return text.getvalue().encode()


def _flattened(entity: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: value for name, value in entity.items() if name != PERSON}
    return row | {f"{PERSON}.{name}": value for name, value in entity.get(PERSON, {}).items()}


def _cell(value: Any) -> str:  # noqa: ANN401 - whatever JSON has
    cell = value if isinstance(value, str) and not _reads_as_json(value) else msgspec.json.encode(value).decode()
    return _neutralise(cell)


def _neutralise(cell: str) -> str:
    parts, end = [], 0
    for run in _RUN.finditer(cell):
        if cell.startswith(_SIGNS, run.end()) and (run.start() == 0 or _ENDS_CELL.search(run[0])):
            parts += [cell[end : run.end()], "'"]
            end = run.end()
    quiet = "".join([*parts, cell[end:]])
    return f"'{quiet}" if quiet.startswith(_DANGEROUS) else quiet


def _reads_as_json(text: str) -> bool:
    if not text:
        return True  # an empty cell says that there is nothing
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
