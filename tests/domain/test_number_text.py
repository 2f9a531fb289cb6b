"""Numbers in texts are read in one way, whoever reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.application.imports.cells import from_text
from rapport.domain.conditions import Condition, compile_condition
from rapport.domain.formulas.values import to_number
from rapport.domain.number_text import parse_index, parse_number
from tests.domain.number_texts import NUMBERS, TEXTS


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_plain_digits_are_a_number_for_formulas_rules_and_cells(text: str, number: float):
    assert parse_number(text) == to_number(text) == from_text("conversionValue", text) == number


@pytest.mark.parametrize("text", TEXTS)
def test_what_else_programs_take_for_numbers_is_a_text(text: str):
    assert parse_number(text) is to_number(text) is None
    assert from_text("conversionValue", text) in (text, None)
    assert not compile_condition(Condition(field="customer.a", operator="gte", value=0)).holds(text)
    assert not compile_condition(Condition(field="customer.a", operator="lt", value=text)).holds(5)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_as_json_writes_them_are_read_as_they_were(number: float):
    assert parse_number(repr(number)) == number


@given(st.text())
def test_no_text_is_too_strange_to_be_no_index(text: str):
    index = parse_index(text)
    assert index is None or str(index) == text.lstrip("0") or index == 0
