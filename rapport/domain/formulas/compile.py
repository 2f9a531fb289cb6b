"""Compiler of formulas: trees become closures, which look fields up and return a value, and never raise."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rapport.domain.formulas.expressions import (
    Binary,
    Call,
    Conditional,
    Expression,
    Name,
    Negative,
    Not,
    Null,
    Number,
    Operator,
    Text,
    Truth,
)
from rapport.domain.formulas.functions import FUNCTIONS, Apply, join
from rapport.domain.formulas.values import Value, equals, finite, to_number, to_truth, to_value

Lookup: TypeAlias = Callable[[str], object]
Closure: TypeAlias = Callable[[Lookup], Value]


def compile_expression(expression: Expression) -> Closure:
    """Compile a tree into a closure."""
    match expression:
        case Number(value) | Text(value) | Truth(value):
            closure = _constant(value)
        case Null():
            closure = _constant(None)
        case Name(name):
            closure = _field(name)
        case Negative(operand):
            closure = _negative(compile_expression(operand))
        case Not(operand):
            closure = _not(compile_expression(operand))
        case Binary(symbol, left, right):
            closure = _BINARY[symbol](compile_expression(left), compile_expression(right))
        case Conditional(condition, then, otherwise):
            closure = _conditional(*map(compile_expression, (condition, then, otherwise)))
        case Call(function, arguments):
            apply = FUNCTIONS[function].apply
            compiled = tuple(map(compile_expression, arguments))
            closure = _coalesce(compiled) if apply is None else _call(apply, compiled)
    return closure


def _constant(value: Value) -> Closure:
    return lambda _lookup: value


def _field(name: str) -> Closure:
    return lambda lookup: to_value(lookup(name))


def _negative(operand: Closure) -> Closure:
    def run(lookup: Lookup) -> Value:
        number = to_number(operand(lookup))
        return None if number is None else 0.0 - number

    return run


def _not(operand: Closure) -> Closure:
    def run(lookup: Lookup) -> Value:
        truth = to_truth(operand(lookup))
        return None if truth is None else float(not truth)

    return run


def _arithmetic(apply: Callable[[float, float], float]) -> Callable[[Closure, Closure], Closure]:
    def compiled(left: Closure, right: Closure) -> Closure:
        def run(lookup: Lookup) -> Value:
            one, other = to_number(left(lookup)), to_number(right(lookup))
            return None if one is None or other is None else finite(apply(one, other))

        return run

    return compiled


def _sum(left: Closure, right: Closure) -> Closure:
    """Join two texts, add everything else."""

    def run(lookup: Lookup) -> Value:
        one, other = left(lookup), right(lookup)
        if isinstance(one, str) and isinstance(other, str):
            return join(one, other)
        first, second = to_number(one), to_number(other)
        return None if first is None or second is None else finite(first + second)

    return run


def _divide(one: float, other: float) -> float:
    return one / other if other else math.nan


def _remainder(one: float, other: float) -> float:
    """Compute a remainder with the sign of the dividend, as in JavaScript, where these formulas come from."""
    return math.fmod(one, other) if other else math.nan


def _ordering(accept: Callable[[Any, Any], bool]) -> Callable[[Closure, Closure], Closure]:
    def compiled(left: Closure, right: Closure) -> Closure:
        def run(lookup: Lookup) -> Value:
            one, other = left(lookup), right(lookup)
            if isinstance(one, str) and isinstance(other, str):
                return float(accept(one, other))
            first, second = to_number(one), to_number(other)
            return None if first is None or second is None else float(accept(first, second))

        return run

    return compiled


def _equality(*, wanted: bool) -> Callable[[Closure, Closure], Closure]:
    def compiled(left: Closure, right: Closure) -> Closure:
        def run(lookup: Lookup) -> Value:
            same = equals(left(lookup), right(lookup))
            return None if same is None else float(same is wanted)

        return run

    return compiled


def _deciding(*, by: bool) -> Callable[[Closure, Closure], Closure]:
    """``and`` is decided by a false side, ``or`` by a true one; otherwise a null side makes it null."""

    def compiled(left: Closure, right: Closure) -> Closure:
        def run(lookup: Lookup) -> Value:
            one = to_truth(left(lookup))
            if one is by:
                return float(by)
            other = to_truth(right(lookup))
            if other is by:
                return float(by)
            return None if one is None or other is None else float(not by)

        return run

    return compiled


def _conditional(condition: Closure, then: Closure, otherwise: Closure) -> Closure:
    return lambda lookup: then(lookup) if to_truth(condition(lookup)) else otherwise(lookup)


def _coalesce(arguments: tuple[Closure, ...]) -> Closure:
    def run(lookup: Lookup) -> Value:
        for argument in arguments:
            value = argument(lookup)
            if value is not None:
                return value
        return None

    return run


def _call(apply: Apply, arguments: tuple[Closure, ...]) -> Closure:
    def run(lookup: Lookup) -> Value:
        values: list[Value] = []
        for argument in arguments:
            value = argument(lookup)
            if value is None:
                return None
            values.append(value)
        return apply(*values)

    return run


_BINARY: Final[Mapping[Operator, Callable[[Closure, Closure], Closure]]] = {
    "or": _deciding(by=True),
    "and": _deciding(by=False),
    "==": _equality(wanted=True),
    "!=": _equality(wanted=False),
    "<": _ordering(operator.lt),
    "<=": _ordering(operator.le),
    ">": _ordering(operator.gt),
    ">=": _ordering(operator.ge),
    "+": _sum,
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(_divide),
    "%": _arithmetic(_remainder),
}
