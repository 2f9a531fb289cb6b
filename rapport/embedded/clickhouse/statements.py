"""Lexical analysis of a query before the engine sees it.

The engine parses SQL; this module only finds where an INSERT's data begins, which FORMAT a result has, and what a
server's HTTP interface refuses. It skips comments, strings, quoted names and heredocs by ClickHouse's lexical rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import dropwhile, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from rapport.embedded.clickhouse.engine_errors import refuse
from rapport.embedded.clickhouse.handles import quote_name, quote_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    rb"""
      (?P<comment> --[^\n]* | \#[ !][^\n]* | /\*.*?\*/ )
    | (?P<string> '[^'\\]*(?:(?:\\.|'')[^'\\]*)*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
    | (?P<quoted> "[^"\\]*(?:(?:\\.|"")[^"\\]*)*" | `[^`\\]*(?:(?:\\.|``)[^`\\]*)*` )
    | (?P<word> [A-Za-z_]\w* )
    | (?P<number> \d\w* )
    | (?P<mark> [^\s] )
    """,
    re.VERBOSE | re.DOTALL,
)
_LONGEST_REMEMBERED: Final = 16 * 1024
_NAMES_FOLLOW: Final = frozenset({b"INTO", b"TABLE", b"FUNCTION", b"."})
_SELECTS: Final = frozenset({b"SELECT", b"WITH", b"FROM"})
_TABULAR: Final = _SELECTS | {b"SHOW", b"DESCRIBE", b"DESC", b"EXPLAIN", b"EXISTS", b"CHECK", b"KILL"}
_READS: Final = _SELECTS | {b"SHOW", b"DESCRIBE", b"DESC", b"EXPLAIN", b"EXISTS", b"CHECK", b"USE", b"SET"}


@dataclass(frozen=True, slots=True)
class Statement:
    """A query that the engine can run from its text alone.

    Attributes:
        verb: Its first keyword in capitals.
        output_format: The name after its FORMAT, if any.
        has_totals: Whether it may say WITH TOTALS, which ends a result with a second table.
    """

    verb: bytes
    output_format: str | None = None
    has_totals: bool = False

    @property
    def is_select(self) -> bool:
        """Whether its result can be fetched piece by piece."""
        return self.verb in _SELECTS

    @property
    def is_tabular(self) -> bool:
        """Whether its result is a table, possibly an empty one."""
        return self.verb in _TABULAR

    @property
    def is_read(self) -> bool:
        """Whether ClickHouse lets a GET run it."""
        return self.verb in _READS


@dataclass(frozen=True, slots=True)
class DataInsert:
    """An INSERT whose rows follow its text.

    Attributes:
        target: The statement before SETTINGS, FORMAT or VALUES.
        settings: Its SETTINGS clause, if any.
        input_format: The format of the data.
        data_at: Offset in the text at which the data begins.
    """

    target: bytes
    settings: bytes
    input_format: str
    data_at: int

    def make_file_insert(self, path: str) -> bytes:
        """Return the statement that reads its data from a file."""
        source = f" FROM INFILE {quote_text(path)} COMPRESSION 'none' ".encode()
        return self.target + source + self.settings + b" FORMAT " + quote_name(self.input_format).encode()


class _Token(NamedTuple):
    text: bytes  # a word in capitals, a mark, or nothing for a quoted name
    start: int
    end: int


def parse(text: bytes) -> Statement | DataInsert:
    """Parse one query.

    Args:
        text: The query, for an INSERT possibly with (the beginning of) its data.

    Raises:
        EngineError: 62 for no query or more than one, 358 and 78 for files of the client, which no server has, and 48
            for the function input().
    """
    verb = _verb(text)
    if verb in (b"", b";"):
        raise refuse(62, "Empty query")
    if verb == b"INSERT" or (verb == b"WITH" and _begins_insert(text)):
        return _parse_insert(text)
    return (_parse_plain_again if len(text) <= _LONGEST_REMEMBERED else _parse_plain)(text, verb)


def _verb(text: bytes) -> bytes:
    for match in _TOKEN.finditer(text):
        token = match.group()
        if match.lastgroup != "comment" and token != b"(":
            return token.upper()
    return b""


def _tokens(text: bytes) -> Iterator[_Token]:
    """Yield the tokens outside of brackets, and the brackets themselves; comments and strings are skipped."""
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        token = match.group()
        if kind == "mark":
            depth -= token in b")]}" and depth > 0
            if depth == 0:
                yield _Token(token, match.start(), match.end())
            depth += token in b"([{"
        elif depth == 0 and kind in ("word", "quoted"):
            yield _Token(token.upper() if kind == "word" else b"", match.start(), match.end())


def _begins_insert(text: bytes) -> bool:
    return b"INSERT" in text.upper() and (b"INSERT", b"INTO") in pairwise(token.text for token in _tokens(text))


def _parse_insert(text: bytes) -> Statement | DataInsert:
    previous = b""
    settings_at = None
    tokens = dropwhile(lambda token: token.text != b"INSERT", _tokens(text))
    for token in tokens:
        if previous not in _NAMES_FOLLOW:
            if token.text == b"SETTINGS" and settings_at is None:
                settings_at = token.start
            target_end = token.start if settings_at is None else settings_at
            parts = text[:target_end], text[target_end : token.start]
            if token.text == b"VALUES":
                return DataInsert(*parts, "Values", token.end)
            if token.text == b"FORMAT" and (name := next(tokens, None)) is not None:
                input_format = text[name.start : name.end].decode(errors="replace").strip('`"')
                return DataInsert(*parts, input_format, _data_start(text, name.end))
            if token.text == b"INFILE":
                raise refuse(78, "FROM INFILE reads a file of the client; send the data instead")
            if token.text in (b"SELECT", b"WITH"):
                _check_select(text[token.start :])
                break
        previous = token.text
    return Statement(b"INSERT")


def _check_select(text: bytes) -> None:
    """Refuse the table function input(): chDB would run the INSERT on no rows, without an error."""
    words = [match.group().upper() for match in _TOKEN.finditer(text) if match.lastgroup in ("word", "mark")]
    if (b"INPUT", b"(") in pairwise(words):
        raise refuse(48, "INSERT ... SELECT FROM input() is not supported here; insert into a table first")


def _data_start(text: bytes, position: int) -> int:
    """Return where data starts: after the format, blanks and one line end (as in ClickHouse's ParserInsertQuery)."""
    while text[position : position + 1] in (b" ", b"\t", b"\f"):
        position += 1
    if text[position : position + 1] == b"\r":
        position += 1
    if text[position : position + 1] == b"\n":
        position += 1
    return position


def _parse_plain(text: bytes, verb: bytes) -> Statement:
    tokens = list(_tokens(text))
    while tokens and tokens[-1].text == b";":
        tokens.pop()
    names = [token.text for token in tokens]
    if b";" in names:
        at = tokens[names.index(b";")].start + 1
        raise refuse(62, f"Syntax error (Multi-statements are not allowed): failed at position {at} (end of query)")
    if (b"INTO", b"OUTFILE") in pairwise(names):
        raise refuse(358, "INTO OUTFILE is not allowed")
    output_format = None
    for at in range(len(names) - 1):
        last = names[at + 2] if at + 2 < len(names) else b"SETTINGS"
        if names[at] == b"FORMAT" and last == b"SETTINGS" and names[at + 1][:1].isalpha():
            name = tokens[at + 1]
            output_format = text[name.start : name.end].decode()
    has_totals = b"TOTALS" in text.upper()  # a false alarm only costs memory
    return Statement(verb, output_format, has_totals)


_parse_plain_again = lru_cache(maxsize=128)(_parse_plain)  # programs ask the same again, with other parameters
