"""Records of CSV tables (RFC 4180), read so that a faulty record does not affect others."""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rapport.application.imports.feeds import LineFault


class CsvRecord(NamedTuple):
    """A record: a line, or several where a quoted value holds line breaks.

    Attributes:
        number: Number of its first line, from 1.
        cells: Texts without their quotes.
    """

    number: int
    cells: list[str]


def read_records(lines: Iterable[str], separator: str = ",") -> Iterator[CsvRecord | LineFault]:
    """Yield the records one by one; empty lines are left out.

    A quote that is not closed, or closed in the middle of a value, would extend to the next quote and consume the lines
    between. Only the line where it was opened is faulty then; reading continues with the line after it.

    Args:
        lines: With their line breaks, as a file opened with ``newline=""`` gives them.
        separator: Between the cells.
    """
    source = _LineSource(lines)
    reader = csv.reader(source, delimiter=separator, strict=True)
    while True:
        source.begin_record()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield LineFault(source.first, "bad_csv", _explain(source.record, separator, error))
            source.give_back()
            continue
        if cells:
            yield CsvRecord(source.first, cells)


class _LineSource:
    """Iterator of lines that can return some lines again.

    Attributes:
        first: Number of the record's first line.
        record: Its lines so far.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again = deque[str]()
        self.first = 1
        self.record = list[str]()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.record.append(line)
        return line

    def begin_record(self) -> None:
        """Begin the next record."""
        self.first += len(self.record)
        self.record.clear()

    def give_back(self) -> None:
        """Return all lines of the record but the first again."""
        self._again.extendleft(reversed(self.record[1:]))
        del self.record[1:]


def _explain(record: list[str], separator: str, error: csv.Error) -> str:
    """Describe the position of the quote that makes a record faulty."""
    column = _find_quoted_column(record[0], separator) if record else 0
    if not column:
        return f"The line is no CSV: {error}."
    is_closed = len(record) == 1 and "expected after" in str(error)
    what = "has text behind its closing quote" if is_closed else "begins with a quote that is not closed"
    return f"Column {column} {what}; a quote within a value is written twice."


def _find_quoted_column(line: str, separator: str) -> int:
    """Find the first column whose quoted value does not end where the next column begins; 0 for none."""
    column, at = 1, 0
    text = line.rstrip("\r\n")
    while at <= len(text):
        if text[at : at + 1] == '"':
            end = _find_quote_end(text, at + 1)
            if end < 0 or text[end : end + 1] not in ("", separator):
                return column
            at = end
        following = text.find(separator, at)
        if following < 0:
            return 0
        column, at = column + 1, following + 1
    return 0


def _find_quote_end(text: str, at: int) -> int:
    """Find what follows the closing quote of a value that begins at ``at``; -1 if nothing closes it."""
    while (quote := text.find('"', at)) >= 0:
        if text[quote + 1 : quote + 2] != '"':
            return quote + 1
        at = quote + 2
    return -1


def find_header_fault(names: Sequence[str]) -> str:
    """Describe the fault in the names of a table's columns; empty if there is none."""
    unnamed = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    if len(unnamed) == len(names):
        return "there is no header: the first line must name the columns"
    if unnamed:
        columns = f"column {unnamed[0]}" if len(unnamed) == 1 else f"columns {', '.join(unnamed[:20])}"
        return f"the header gives no name to {columns} of {len(names)}; name every column, or take it out"
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    return f"the header names {', '.join(twice)} twice; give every column a name of its own" if twice else ""
