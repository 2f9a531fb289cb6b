"""Syntax trees of formulas. Two trees are equal if they have the same structure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Operator = Literal["or", "and", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"]

PRECEDENCE: Final[dict[Operator, int]] = {
    "or": 1,
    "and": 2,
    "==": 4,
    "!=": 4,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "%": 6,
}
"""Precedence of binary operators, the higher the tighter; ``not`` is 3, a conditional 0, unary minus 7."""


@dataclass(frozen=True, slots=True)
class Number:
    """Number literal: finite and not negative."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """Text literal in quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    """Literal ``true`` or ``false``."""

    value: bool


@dataclass(frozen=True, slots=True)
class Null:
    """Literal ``null``: no value."""


@dataclass(frozen=True, slots=True)
class Name:
    """Field, by its dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class Negative:
    """Unary minus."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Not:
    """Negation, ``not`` or ``!``."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """Binary operator with its two operands."""

    operator: Operator
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional:
    """Conditional, ``condition ? then : otherwise`` or ``if(condition, then, otherwise)``."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """Function call with a valid number of arguments."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Number | Text | Truth | Null | Name | Negative | Not | Binary | Conditional | Call


def list_children(expression: Expression) -> tuple[Expression, ...]:
    """List the direct subexpressions."""
    match expression:
        case Negative(operand) | Not(operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Conditional(condition, then, otherwise):
            return (condition, then, otherwise)
        case Call(_, arguments):
            return arguments
        case _:
            return ()


def walk(expression: Expression) -> Iterator[tuple[Expression, int]]:
    """Iterate over an expression and its subexpressions, with depth from 1; without recursion, for deep trees."""
    left = [(expression, 1)]
    while left:
        current, depth = left.pop()
        yield current, depth
        left.extend((child, depth + 1) for child in list_children(current))
