"""Numbers in texts are parsed alike everywhere."""

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
def test_other_notations_of_numbers_are_texts(text: str):
    assert parse_number(text) is to_number(text) is None
    assert from_text("conversionValue", text) in (text, None)
    assert not compile_condition(Condition(field="customer.a", operator="gte", value=0)).holds(text)
    assert not compile_condition(Condition(field="customer.a", operator="lt", value=text)).holds(5)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_written_by_json_are_parsed_unchanged(number: float):
    assert parse_number(repr(number)) == number


@given(st.text())
def test_any_text_is_an_index_or_none(text: str):
    index = parse_index(text)
    assert index is None or str(index) == text.lstrip("0") or index == 0
