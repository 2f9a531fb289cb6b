"""Printer of formulas: a syntax tree becomes text without needless parentheses."""

from __future__ import annotations

import re
from typing import Final

from rapport.domain.formulas.expressions import (
    PRECEDENCE,
    Binary,
    Call,
    Conditional,
    Expression,
    Name,
    Negative,
    Not,
    Null,
    Number,
    Text,
    Truth,
)
from rapport.domain.formulas.grammar import ESCAPES, KEYWORDS

_CONDITIONAL: Final = 0
_NOT: Final = 3
_COMPARISON: Final = 4
_NEGATIVE: Final = 7
_ATOM: Final = 8
_PLAIN: Final = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
_ESCAPED: Final = {ord(character): f"\\{letter}" for letter, character in ESCAPES.items() if character != "'"}


def print_expression(expression: Expression) -> str:
    """Print a text that parses to the same tree."""
    return _print(expression, _CONDITIONAL)


def _print(expression: Expression, tightest: int) -> str:
    text, precedence = _format_with_precedence(expression)
    return text if precedence >= tightest else f"({text})"


def _format_with_precedence(expression: Expression) -> tuple[str, int]:
    match expression:
        case Negative(operand):
            return f"-{_print(operand, _NEGATIVE)}", _NEGATIVE
        case Not(operand):
            return f"not {_print(operand, _NOT)}", _NOT
        case Binary(operator, left, right):
            own = PRECEDENCE[operator]
            loosest = own + 1 if own == _COMPARISON else own  # a comparison of comparisons needs parentheses
            return f"{_print(left, loosest)} {operator} {_print(right, own + 1)}", own
        case Conditional(condition, then, otherwise):
            parts = _print(condition, _CONDITIONAL + 1), _print(then, _CONDITIONAL), _print(otherwise, _CONDITIONAL)
            return "{} ? {} : {}".format(*parts), _CONDITIONAL
        case Call(function, arguments):
            return f"{function}({', '.join(_print(argument, _CONDITIONAL) for argument in arguments)})", _ATOM
        case _:
            return _print_atom(expression), _ATOM


def _print_atom(expression: Number | Text | Truth | Null | Name) -> str:
    match expression:
        case Number(value):
            return repr(value).removesuffix(".0")
        case Text(value):
            return f'"{value.translate(_ESCAPED)}"'
        case Truth(value):
            return "true" if value else "false"
        case Null():
            return "null"
        case Name(name):
            return name if _PLAIN.fullmatch(name) and name not in KEYWORDS else f"`{name}`"
