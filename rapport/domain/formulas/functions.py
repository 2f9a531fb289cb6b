"""Functions that formulas may call."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from decimal import Context as DecimalContext
from functools import cache
from typing import Final

from rapport.domain.formulas.values import MAX_TEXT, Value, equals, to_finite_number, to_number, to_text, to_value

Apply = Callable[..., Value]


@dataclass(frozen=True, slots=True)
class Function:
    """Function of the formula language.

    Attributes:
        usage: Form of a call, shown in error messages.
        least: Fewest arguments.
        most: Most arguments; None for any number.
        apply: Called with arguments of which none is null; None for a function that accepts null arguments, which the
            compiler implements.
    """

    usage: str
    least: int
    most: int | None
    apply: Apply | None = None

    @property
    def arity(self) -> str:
        """Number of arguments in words."""
        if self.most is None:
            return f"{self.least} or more arguments"
        if self.least == self.most:
            return "1 argument" if self.least == 1 else f"{self.least} arguments"
        return f"{self.least} or {self.most} arguments"

    def takes(self, count: int) -> bool:
        """Say whether it may be called with so many arguments."""
        return self.least <= count and (self.most is None or count <= self.most)


def join(*values: Value) -> str | None:
    """Join texts; None if a value has none, or the result is too long."""
    texts = [to_text(value) for value in values]
    joined = "".join(text for text in texts if text is not None)
    return joined if None not in texts and len(joined) <= MAX_TEXT else None


def _apply_to_number(function: Callable[[float], float]) -> Apply:
    def apply(value: Value) -> Value:
        number = to_number(value)
        return None if number is None else float(function(number))

    return apply


def _apply_to_numbers(choose: Callable[[list[float]], float]) -> Apply:
    def apply(*values: Value) -> Value:
        numbers = [number for number in map(to_number, values) if number is not None]
        return choose(numbers) if len(numbers) == len(values) else None

    return apply


def _apply_to_text(function: Callable[[str], str]) -> Apply:
    def apply(value: Value) -> Value:
        text = to_text(value)
        return None if text is None else function(text)

    return apply


_EXACT: Final = DecimalContext(prec=1_000, rounding=ROUND_HALF_UP)
_MOST_PLACES: Final = 400
"""More than any float has, before or after the point; `_EXACT` holds what is left."""
_MOST_FIXED: Final = 20


def _round(value: Value, places: Value = 0.0) -> Value:
    """Round halves away from zero, on the number as it is written: round(1.005, 2) is 1.01."""
    number, digits = to_number(value), to_number(places)
    if number is None or digits is None:
        return None
    step = _make_step(int(max(-_MOST_PLACES, min(_MOST_PLACES, digits))))
    return to_finite_number(float(Decimal(repr(number)).quantize(step, context=_EXACT)) + 0.0)


def _format_fixed(value: Value, places: Value) -> Value:
    """Format a number with so many digits after the point, rounded like `_round`: a price of 12.9 is 12.90."""
    rounded, digits = to_number(_round(value, places)), to_number(places)
    if rounded is None or digits is None:
        return None
    return f"{Decimal(repr(rounded)):.{int(max(0, min(_MOST_FIXED, digits)))}f}"


@cache
def _make_step(places: int) -> Decimal:
    """Return one unit of the last place."""
    return Decimal((0, (1,), -places))


def _count_length(value: Value) -> Value:
    if isinstance(value, list | tuple | set | frozenset):
        return float(len(value))
    text = to_text(value)
    return None if text is None else float(len(text))


def _contains(whole: Value, part: Value) -> Value:
    """Say whether a list has an equal item, or a text has a part."""
    if isinstance(whole, list | tuple | set | frozenset):
        return float(any(equals(to_value(item), part) for item in whole))
    text, wanted = to_text(whole), to_text(part)
    return None if text is None or wanted is None else float(wanted in text)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "min": Function("min(a, b, ...)", 1, None, _apply_to_numbers(min)),
    "max": Function("max(a, b, ...)", 1, None, _apply_to_numbers(max)),
    "round": Function("round(number, places)", 1, 2, _round),
    "fixed": Function("fixed(number, places)", 2, 2, _format_fixed),
    "floor": Function("floor(number)", 1, 1, _apply_to_number(math.floor)),
    "ceil": Function("ceil(number)", 1, 1, _apply_to_number(math.ceil)),
    "abs": Function("abs(number)", 1, 1, _apply_to_number(abs)),
    "coalesce": Function("coalesce(a, b, ...)", 1, None),
    "concat": Function("concat(a, b, ...)", 1, None, join),
    "lower": Function("lower(text)", 1, 1, _apply_to_text(str.lower)),
    "upper": Function("upper(text)", 1, 1, _apply_to_text(str.upper)),
    "length": Function("length(text)", 1, 1, _count_length),
    "contains": Function("contains(text, part)", 2, 2, _contains),
    "if": Function("if(condition, then, otherwise)", 2, 3),
}
