from __future__ import annotations

import pytest

from rapport.domain.formulas import FormulaError, compile_formula
from rapport.domain.formulas.formula import MAX_DEPTH, MAX_LENGTH, MAX_NODES
from rapport.domain.formulas.functions import FUNCTIONS


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "the formula is empty: expected a value"),
        ("1 +\n  ", 1, 4, "the formula ends too early: expected a value"),
        ("(1", 1, 3, "the formula ends too early: expected `)`"),
        ("1)", 1, 2, "this ) closes no ("),
        ("1 +\n * 2", 2, 2, "expected a value, not *"),
        ("base rate", 1, 6, "expected an operator or the end of the formula, not rate"),
        ("vip ? 1", 1, 8, "the formula ends too early: expected `:`"),
        ("min(1,)", 1, 7, "expected a value, not )"),
        ("and(1, 2)", 1, 1, "expected a value, not and"),
        ("a AND b", 1, 3, "AND is written and"),
        ("a = 1", 1, 3, "= is no operator; == compares"),
        ("a & b", 1, 3, "& is no operator; && or and joins conditions"),
        ("1 < a < 3", 1, 7, "a comparison has two sides; join comparisons with and, or use parentheses"),
        ("12abc", 1, 1, "12abc is no number; numbers look like 12, 0.5 or 1e6, and names start with a letter"),
        ("1 + 1e999", 1, 5, "this number is too large; the largest is about 1.8e308"),
        ("a + 'b\n'", 1, 5, "this text does not end: close it with ' on the same line"),
        ("`a", 1, 1, "this name does not end: close it with ` on the same line"),
        ("'a\\q'", 1, 3, "\\q means nothing in a text; write \\\\, \\\", \\', \\n, \\r, \\t or \\uXXXX"),
        (
            "a # b",
            1,
            3,
            "'#' has no meaning here; a name that has it in it is written in backquotes, such as `my-field`",
        ),
        ("1 + Round(a)", 1, 5, "there is no function Round; did you mean round?"),
        (
            "\nsqrt(4)",
            2,
            1,
            f"there is no function sqrt; there are {', '.join(FUNCTIONS)}",
        ),
        ("abs()", 1, 1, "abs takes 1 argument, not 0: abs(number)"),
        ("contains(a)", 1, 1, "contains takes 2 arguments, not 1: contains(text, part)"),
        ("round(1, 2, 3)", 1, 1, "round takes 1 or 2 arguments, not 3: round(number, places)"),
        ("max()", 1, 1, "max takes 1 or more arguments, not 0: max(a, b, ...)"),
        ("if(a)", 1, 1, "if takes 2 or 3 arguments, not 1: if(condition, then, otherwise)"),
    ],
)
def test_a_syntax_error_names_its_place_and_the_right_form(text: str, line: int, column: int, message: str):
    with pytest.raises(FormulaError) as caught:
        compile_formula(text)
    assert (caught.value.line, caught.value.column, caught.value.message) == (line, column, message)
    assert str(caught.value) == f"line {line}, column {column}: {message}"


@pytest.mark.parametrize(
    ("allowed", "too_much"),
    [
        (" " * (MAX_LENGTH - 1) + "1", " " * MAX_LENGTH + "1"),
        ("-" * (MAX_DEPTH - 1) + "1", "-" * MAX_DEPTH + "1"),
        (f"max({'1,' * (MAX_NODES - 2)}1)", f"max({'1,' * (MAX_NODES - 1)}1)"),
        ("(" * 1_999 + "1" + ")" * 1_999, "!" * 3_999 + "1"),
    ],
    ids=["length", "depth", "nodes", "parentheses are no depth"],
)
def test_a_formula_has_limits(allowed: str, too_much: str):
    compile_formula(allowed)
    with pytest.raises(FormulaError, match="is the most"):
        compile_formula(too_much)
