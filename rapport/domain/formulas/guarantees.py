"""Analysis of formulas that can be null because of a field without a guaranteed value."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rapport.domain.formulas.expressions import (
    Binary,
    Call,
    Conditional,
    Expression,
    Name,
    Null,
    list_children,
)

Guarantees: TypeAlias = Callable[[str], bool]
"""Says whether the field of a dotted name always has a value."""


def find_missing_fields(expression: Expression, is_there: Guarantees) -> frozenset[str]:
    """Find the fields without which an expression may be null; a literal ``null`` counts as one.

    Only fields are analysed: a division by 0 or a text that is no number can make null, too.
    """
    nothing = frozenset[str]()
    match expression:
        case Null():
            missing = frozenset({"null"})
        case Name(name):
            missing = nothing if is_there(name) else frozenset({name})
        case Binary("==" | "!=", left, right) if Null() in (left, right):
            missing = nothing
        case Conditional(condition, then, otherwise):
            in_then, in_otherwise = _narrow_guarantees(condition, is_there)
            missing = find_missing_fields(then, in_then) | find_missing_fields(otherwise, in_otherwise)
        case Call("coalesce", arguments):
            by_argument = [find_missing_fields(part, is_there) for part in arguments]
            missing = nothing if nothing in by_argument else nothing.union(*by_argument)
        case _:
            missing = nothing.union(*(find_missing_fields(part, is_there) for part in list_children(expression)))
    return missing


def _narrow_guarantees(condition: Expression, is_there: Guarantees) -> tuple[Guarantees, Guarantees]:
    """Return the guarantees of both branches of a conditional that compares a field with null."""
    match condition:
        case Binary("!=", Name(name), Null()) | Binary("!=", Null(), Name(name)):
            return lambda field: field == name or is_there(field), is_there
        case Binary("==", Name(name), Null()) | Binary("==", Null(), Name(name)):
            return is_there, lambda field: field == name or is_there(field)
        case _:
            return is_there, is_there
