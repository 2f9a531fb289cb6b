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
from rapport.domain.formulas.values import Value, equals, to_finite_number, to_number, to_truth, to_value

Lookup: TypeAlias = Callable[[str], object]
Closure: TypeAlias = Callable[[Lookup], Value]


def compile_expression(expression: Expression) -> Closure:
    """Compile a tree into a closure."""
    match expression:
        case Number(value) | Text(value) | Truth(value):
            closure = _compile_constant(value)
        case Null():
            closure = _compile_constant(None)
        case Name(name):
            closure = _compile_field(name)
        case Negative(operand):
            closure = _compile_negative(compile_expression(operand))
        case Not(operand):
            closure = _compile_not(compile_expression(operand))
        case Binary(symbol, left, right):
            closure = _BINARY[symbol](compile_expression(left), compile_expression(right))
        case Conditional(condition, then, otherwise):
            closure = _compile_conditional(*map(compile_expression, (condition, then, otherwise)))
        case Call(function, arguments):
            apply = FUNCTIONS[function].apply
            compiled = tuple(map(compile_expression, arguments))
            closure = _compile_coalesce(compiled) if apply is None else _compile_call(apply, compiled)
    return closure


def _compile_constant(value: Value) -> Closure:
    return lambda _lookup: value


def _compile_field(name: str) -> Closure:
    return lambda lookup: to_value(lookup(name))


def _compile_negative(operand: Closure) -> Closure:
    def run(lookup: Lookup) -> Value:
        number = to_number(operand(lookup))
        return None if number is None else 0.0 - number

    return run


def _compile_not(operand: Closure) -> Closure:
    def run(lookup: Lookup) -> Value:
        truth = to_truth(operand(lookup))
        return None if truth is None else float(not truth)

    return run


def _compile_arithmetic(apply: Callable[[float, float], float]) -> Callable[[Closure, Closure], Closure]:
    def compiled(left: Closure, right: Closure) -> Closure:
        def run(lookup: Lookup) -> Value:
            first, second = to_number(left(lookup)), to_number(right(lookup))
            return None if first is None or second is None else to_finite_number(apply(first, second))

        return run

    return compiled


def _compile_sum(left: Closure, right: Closure) -> Closure:
    """Join two texts, add everything else."""

    def run(lookup: Lookup) -> Value:
        one, other = left(lookup), right(lookup)
        if isinstance(one, str) and isinstance(other, str):
            return join(one, other)
        first, second = to_number(one), to_number(other)
        return None if first is None or second is None else to_finite_number(first + second)

    return run


def _divide(dividend: float, divisor: float) -> float:
    return dividend / divisor if divisor else math.nan


def _remainder(dividend: float, divisor: float) -> float:
    """Compute a remainder with the sign of the dividend, as in JavaScript, where these formulas come from."""
    return math.fmod(dividend, divisor) if divisor else math.nan


def _compile_ordering(accept: Callable[[Any, Any], bool]) -> Callable[[Closure, Closure], Closure]:
    def compiled(left: Closure, right: Closure) -> Closure:
        def run(lookup: Lookup) -> Value:
            one, other = left(lookup), right(lookup)
            if isinstance(one, str) and isinstance(other, str):
                return float(accept(one, other))
            first, second = to_number(one), to_number(other)
            return None if first is None or second is None else float(accept(first, second))

        return run

    return compiled


def _compile_equality(*, wanted: bool) -> Callable[[Closure, Closure], Closure]:
    def compiled(left: Closure, right: Closure) -> Closure:
        def run(lookup: Lookup) -> Value:
            same = equals(left(lookup), right(lookup))
            return None if same is None else float(same is wanted)

        return run

    return compiled


def _compile_logic(*, by: bool) -> Callable[[Closure, Closure], Closure]:
    """Compile ``and`` or ``or``: a false side decides ``and``, a true one ``or``; else a null side makes it null."""

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


def _compile_conditional(condition: Closure, then: Closure, otherwise: Closure) -> Closure:
    return lambda lookup: then(lookup) if to_truth(condition(lookup)) else otherwise(lookup)


def _compile_coalesce(arguments: tuple[Closure, ...]) -> Closure:
    def run(lookup: Lookup) -> Value:
        for argument in arguments:
            value = argument(lookup)
            if value is not None:
                return value
        return None

    return run


def _compile_call(apply: Apply, arguments: tuple[Closure, ...]) -> Closure:
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
    "or": _compile_logic(by=True),
    "and": _compile_logic(by=False),
    "==": _compile_equality(wanted=True),
    "!=": _compile_equality(wanted=False),
    "<": _compile_ordering(operator.lt),
    "<=": _compile_ordering(operator.le),
    ">": _compile_ordering(operator.gt),
    ">=": _compile_ordering(operator.ge),
    "+": _compile_sum,
    "-": _compile_arithmetic(operator.sub),
    "*": _compile_arithmetic(operator.mul),
    "/": _compile_arithmetic(_divide),
    "%": _compile_arithmetic(_remainder),
}
