"""Error messages for texts that are no formula."""

from __future__ import annotations

from typing import Final

from lark import Token, UnexpectedCharacters, UnexpectedToken

from rapport.domain.formulas.errors import FormulaError
from rapport.domain.formulas.grammar import KEYWORDS

_VALUES: Final = {"NUMBER", "TEXT", "NAME", "FUNCTION", "LPAR"}
_OPERATORS: Final = {"PLUS", "FACTOR", "AND", "OR", "COMPARISON", "QMARK"}
_MARKS: Final = {"RPAR": "`)`", "COMMA": "`,`", "COLON": "`:`", "LPAR": "`(`"}
_INSTEAD: Final = {"=": "== compares", "&": "&& or and joins conditions", "|": "|| or or joins conditions"}
_MOST_SHOWN: Final = 30


def make_error(token: Token, message: str, offset: int = 0) -> FormulaError:
    """Make an error at a token, or some characters after its start."""
    return FormulaError(message, token.line or 1, (token.column or 1) + offset)


def explain_token(text: str, error: UnexpectedToken) -> FormulaError:
    """Make the error for a valid word at a place where it may not stand."""
    token = error.token
    wanted = _list_expected(error.accepts)
    if token.type == "$END":
        before = text.rstrip()
        last_line = before.rpartition("\n")[2]
        what = "the formula is empty" if not before else "the formula ends too early"
        return FormulaError(f"{what}: expected {wanted}", before.count("\n") + 1, len(last_line) + 1)
    if token.type == "COMPARISON" and "COMPARISON" not in error.accepts and "PLUS" in error.accepts:
        return make_error(token, "a comparison has two sides; join comparisons with and, or use parentheses")
    if token.type == "RPAR" and error.accepts == {"$END"}:
        return make_error(token, "this ) closes no (")
    lower = token.lower()
    if token.type in ("NAME", "FUNCTION") and lower in KEYWORDS and lower != token:
        return make_error(token, f"{token} is written {lower}")
    return make_error(token, f"expected {wanted}, not {_shorten(token)}")


def explain_characters(text: str, error: UnexpectedCharacters) -> FormulaError:
    """Make the error for characters that are no word of the language."""
    rest = text[error.pos_in_stream :]
    first = rest[0]
    if first in "\"'":
        message = f"this text does not end: close it with {first} on the same line"
    elif first == "`":
        message = "this name does not end: close it with ` on the same line"
    elif first.isdigit():
        message = f"{_first_word(rest)} is no number; numbers look like 12, 0.5 or 1e6, and names start with a letter"
    elif first in _INSTEAD:
        message = f"{first} is no operator; {_INSTEAD[first]}"
    else:
        message = (
            f"{first!r} has no meaning here; a name that has it in it is written in backquotes, such as `my-field`"
        )
    return FormulaError(message, error.line, error.column)


def _list_expected(accepts: set[str]) -> str:
    """List in words what could have followed."""
    words = ["a value"] if accepts >= _VALUES else []
    words += ["an operator"] if accepts & _OPERATORS else []
    words += [mark for terminal, mark in _MARKS.items() if terminal in accepts and (terminal != "LPAR" or not words)]
    words += ["the end of the formula"] if "$END" in accepts else []
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _first_word(text: str) -> str:
    return _shorten(text.split(maxsplit=1)[0])


def _shorten(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
