"""Conditions on fields: one field, one operator, one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from rapport.domain.number_text import parse_number
from rapport.domain.numbers import BEYOND, find_inexact, is_exact
from rapport.domain.patterns import Pattern, PatternError, compile_pattern

Operator = Literal[
    "eq",
    "neq",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "not_in",
    "contains",
    "starts_with",
    "regex",
    "is_null",
    "is_not_null",
    "exists",
    "not_exists",
]


class ConditionError(ValueError):
    """A condition that cannot be evaluated; the text says why."""


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Comparison of a field with a value."""

    field: str
    operator: Operator = "eq"
    value: Any = None


@dataclass(frozen=True, slots=True)
class CompiledCondition:
    """Condition ready to be evaluated.

    Attributes:
        holds: Predicate of the field's value.
        tests_presence: Whether the operator compares with null, so that a missing value can hold.
    """

    field: str
    operator: str
    value: object
    holds: Callable[[object], bool]
    tests_presence: bool


def is_candidate_field(field: str) -> bool:
    """Say whether a field can differ between the candidates of one decision."""
    return field != "segments" and field.partition(".")[0] not in ("customer", "attributes", "metric", "request")


def is_entity_field(field: str) -> bool:
    """Say whether a field is one of a candidate's offer, creative or channel: its value depends on nothing else."""
    return field.partition(".")[0] in ("offer", "creative", "channel") and "." in field


def compile_condition(condition: Condition) -> CompiledCondition:
    """Compile a condition.

    Raises:
        ConditionError: Its value does not fit its operator.
    """
    operator, value = condition.operator, condition.value
    if operator in ("in", "not_in") and not isinstance(value, list | tuple):
        raise ConditionError(f"{operator} needs a list of values, not {value!r}")
    if operator in ("gt", "gte", "lt", "lte") and not isinstance(value, int | float | str):
        raise ConditionError(f"{operator} needs a number or a text, not {value!r}")
    if next(find_inexact(value), None) is not None:
        raise ConditionError(f"the value {BEYOND}")
    asks = operator in ("exists", "not_exists", "is_null", "is_not_null")
    return CompiledCondition(condition.field, operator, value, _make_predicate(operator, value), asks)


def _make_predicate(operator: str, value: object) -> Callable[[object], bool]:
    if operator == "regex":
        pattern = _compile_value(value)
        return lambda actual: isinstance(actual, str) and pattern.is_in(actual)
    if operator in ("in", "not_in"):
        wanted = frozenset(_to_comparable(item) for item in value) if isinstance(value, list | tuple) else frozenset()
        if operator == "in":
            return lambda actual: _to_comparable(actual) in wanted
        return lambda actual: _to_comparable(actual) not in wanted
    return _PREDICATES[operator](value)


def _compile_value(value: object) -> Pattern:
    if not isinstance(value, str):
        raise ConditionError(f"regex needs a pattern, not {value!r}")
    try:
        return compile_pattern(value)
    except PatternError as error:
        raise ConditionError(str(error)) from error


def _compare_ordered(actual: object, value: object, accept: Callable[[Any, Any], bool]) -> bool:
    """Compare numbers with numbers and texts with texts; nothing else has an order.

    The condition's number must be exact, also in a text; then segments, which compare doubles, agree.
    """
    if isinstance(actual, str) and isinstance(value, str):
        return accept(actual, value)
    left, right = _to_number(actual), _to_number(value)
    return left is not None and right is not None and is_exact(right) and accept(left, right)


def _to_number(value: object) -> float | None:
    """Return a number unchanged, so that whole numbers of any length compare exactly, or parse that of a text."""
    if isinstance(value, int | float):
        return value
    return parse_number(value) if isinstance(value, str) else None


def _to_comparable(value: object) -> object:
    """Return a key that equal values share: 1, 1.0 and true are equal, 1 and "1" are not."""
    return value if isinstance(value, int | float | str) or value is None else repr(value)


def _contains(actual: object, value: object) -> bool:
    if isinstance(actual, str):
        return str(value) in actual
    return isinstance(actual, Sequence) and _to_comparable(value) in map(_to_comparable, actual)


_PREDICATES: Final[Mapping[str, Callable[[object], Callable[[object], bool]]]] = {
    "eq": lambda value: lambda actual: _to_comparable(actual) == _to_comparable(value),
    "neq": lambda value: lambda actual: _to_comparable(actual) != _to_comparable(value),
    "gt": lambda value: lambda actual: _compare_ordered(actual, value, lambda a, b: a > b),
    "gte": lambda value: lambda actual: _compare_ordered(actual, value, lambda a, b: a >= b),
    "lt": lambda value: lambda actual: _compare_ordered(actual, value, lambda a, b: a < b),
    "lte": lambda value: lambda actual: _compare_ordered(actual, value, lambda a, b: a <= b),
    "contains": lambda value: lambda actual: _contains(actual, value),
    "starts_with": lambda value: lambda actual: isinstance(actual, str) and actual.startswith(str(value)),
    "is_null": lambda _value: lambda actual: actual is None,
    "is_not_null": lambda _value: lambda actual: actual is not None,
    "exists": lambda _value: lambda actual: actual is not None,
    "not_exists": lambda _value: lambda actual: actual is None,
}
