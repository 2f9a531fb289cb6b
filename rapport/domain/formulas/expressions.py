"""What a formula says, as a tree. Two trees are equal if they say the same in the same way."""

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
"""The higher binds tighter. ``not`` is 3, between ``and`` and comparisons; a conditional is 0, unary minus is 7."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written: finite and not negative."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A text in quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    """``true`` or ``false``."""

    value: bool


@dataclass(frozen=True, slots=True)
class Null:
    """``null``: no value."""


@dataclass(frozen=True, slots=True)
class Name:
    """A field, by its dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class Negative:
    """Unary minus."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Not:
    """``not`` or ``!``."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two expressions."""

    operator: Operator
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional:
    """``condition ? then : otherwise`` or ``if(condition, then, otherwise)``."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A function of some arguments; their number is right."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Number | Text | Truth | Null | Name | Negative | Not | Binary | Conditional | Call


def list_children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside one."""
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
    """Every expression in one, itself first, with its depth from 1. Needs no recursion: the tree may be too deep."""
    left = [(expression, 1)]
    while left:
        current, depth = left.pop()
        yield current, depth
        left.extend((child, depth + 1) for child in list_children(current))
