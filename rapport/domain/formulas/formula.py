from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from rapport.domain.formulas.compile import Closure, Lookup, compile_expression
from rapport.domain.formulas.errors import FormulaError
from rapport.domain.formulas.expressions import Expression, Name, walk
from rapport.domain.formulas.parser import parse
from rapport.domain.formulas.values import Scalar

MAX_LENGTH: Final = 4_000
MAX_DEPTH: Final = 200
"""Closures call each other this deep; far below Python's recursion limit."""
MAX_NODES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Formula:
    """Formula that was checked and compiled.

    Attributes:
        text: As it was written.
        expression: Its syntax tree.
        names: Dotted names of the fields it reads.
    """

    text: str
    expression: Expression
    names: frozenset[str]
    _run: Closure = field(repr=False, compare=False)

    def evaluate(self, lookup: Lookup) -> Scalar:
        """Evaluate the formula; null, and no exception, where there is no answer.

        Args:
            lookup: Returns the value of a dotted name, None where there is none. Its own exceptions are passed on.

        Returns:
            A finite number, a text, a truth value, or None.
        """
        value = self._run(lookup)
        return value if value is None or isinstance(value, float | str | bool) else None


def compile_formula(text: str) -> Formula:
    """Check and compile a formula.

    Raises:
        FormulaError: With the position of the fault and what would have been right.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"the formula has {len(text):,} characters; {MAX_LENGTH:,} is the most")
    expression = parse(text)
    names, nodes, deepest = set(), 0, 0
    for part, depth in walk(expression):
        nodes += 1
        deepest = max(deepest, depth)
        if isinstance(part, Name):
            names.add(part.name)
    if nodes > MAX_NODES:
        raise FormulaError(f"the formula has {nodes:,} values and operators; {MAX_NODES:,} is the most")
    if deepest > MAX_DEPTH:
        raise FormulaError(f"the formula is nested {deepest:,} deep; {MAX_DEPTH:,} is the most")
    return Formula(text, expression, frozenset(names), compile_expression(expression))
