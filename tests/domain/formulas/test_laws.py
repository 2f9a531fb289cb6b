from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.domain.formulas import Formula, FormulaError, compile_formula, print_expression
from rapport.domain.formulas.compile import compile_expression
from rapport.domain.formulas.expressions import Expression
from rapport.domain.formulas.formula import MAX_DEPTH, MAX_LENGTH
from rapport.domain.formulas.parser import parse
from tests.domain.formulas.trees import expressions, fields, texts

LAW = settings(max_examples=300, deadline=None)


@LAW
@given(expression=expressions)
def test_printed_expressions_parse_to_the_same_tree(expression: Expression):
    assert parse(print_expression(expression)) == expression


@LAW
@given(text=texts, value=fields)
def test_any_text_is_a_formula_or_an_error_with_a_position(text: str, value: Any):
    found = compiled(text)
    if isinstance(found, FormulaError):
        lines = text.split("\n")
        assert 1 <= found.line <= len(lines)
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
        assert found.message
    else:
        assert_is_an_answer(found.evaluate(lambda _name: value))
        assert parse(print_expression(found.expression)) == found.expression


@LAW
@given(expression=expressions, data=st.data())
def test_evaluating_never_raises_and_gives_a_finite_scalar(expression: Expression, data: st.DataObject):
    formula = Formula("", expression, frozenset(), compile_expression(expression))
    assert_is_an_answer(formula.evaluate(lambda name: data.draw(fields, label=name)))


@LAW
@given(expression=expressions.filter(lambda one: len(print_expression(one)) <= MAX_LENGTH))
def test_evaluation_looks_up_only_the_names_of_the_formula(expression: Expression):
    asked: set[str] = set()
    formula = compile_formula(print_expression(expression))
    formula.evaluate(asked.add)
    assert asked <= formula.names


def test_the_deepest_formula_is_evaluated_and_compared():
    for text in (
        "-" * (MAX_DEPTH - 1) + "1",
        "1 + " * (MAX_DEPTH - 1) + "1",
        "abs(" * (MAX_DEPTH - 1) + "1" + ")" * 199,
    ):
        formula = compile_formula(text)
        assert isinstance(formula.evaluate(lambda _name: None), float)
        assert parse(print_expression(formula.expression)) == formula.expression


def compiled(text: str) -> Formula | FormulaError:
    try:
        return compile_formula(text)
    except FormulaError as error:
        return error


def assert_is_an_answer(value: object) -> None:
    assert value is None or type(value) in (float, str, bool)
    assert not isinstance(value, float) or math.isfinite(value)
