from __future__ import annotations

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from rapport.domain.formulas import compile_formula
from tests.domain.decisions.small_catalogue import context, loan
from tests.domain.formulas.trees import circle

PAGE = Path(__file__).parents[3] / "docs" / "formulas.md"
EXAMPLE = re.compile(r"^\| `(?P<formula>.+)` \| (?P<value>null|-?[\d.]+|\".*\") \|$", re.MULTILINE)
EXAMPLES = [(match["formula"], match["value"]) for match in EXAMPLE.finditer(PAGE.read_text("utf-8"))]


class Tier(StrEnum):
    GOLD = "gold"


def value_of(text: str, **fields: Any) -> object:
    return compile_formula(text).evaluate(fields.get)


@pytest.mark.parametrize(("text", "value"), EXAMPLES)
def test_the_documented_examples_hold(text: str, value: str):
    expected = None if value == "null" else value[1:-1] if value.startswith('"') else float(value)
    assert value_of(text) == expected


def test_the_document_has_examples():
    assert len(EXAMPLES) > 40


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("- 2 * 3", -6),
        ("2 - -3", 5),
        ("2 * 3 % 4", 2),
        ("8 / 4 / 2", 1),
        ("1 + 1 > 1", 1),
        ("(1 > 0) == 1", 1),
        ("1 or 0 and 0", 1),
        ("not 0 and 0", 0),
        ("0 || 1 && 0", 0),
        ("1 ? 2 : 3 + 10", 2),
        ("0 ? 2 : 3 + 10", 13),
        ("1 ? 0 ? 'a' : 'b' : 'c'", "b"),
        ("1e3", 1000),
        ("'it\\'s' + \"\\u20ac\\n\"", "it's€\n"),
        ("true", True),
        ("true and 'x'", 1),
        ("1e308 * 10", None),
        ("1 / (1e308 * 10)", None),
        ("-0", 0),
        ("round(2.345, 2)", 2.35),
        ("round(-1.5)", -2),
        ("round(1e300, 400)", 1e300),
        ("round(5e-324, 300)", 0),
        ("round(1.7e308, -308)", None),
        ("round('x')", None),
        ("fixed(1.005, 2)", "1.01"),
        ("fixed('12.9', 2)", "12.90"),
        ("fixed(-0.001, 2)", "0.00"),
        ("fixed(1e21, 0)", "1000000000000000000000"),
        ("fixed(1234.5, -2)", "1200"),
        ("fixed(2, 99)", "2." + 20 * "0"),
        ("fixed(missing, 2)", None),
        ("length(12.5)", 4),
        ("concat(1e21, '/', 123456789012345680)", "1e+21/123456789012345680"),
    ],
)
def test_an_expression_has_the_value_of_its_tree(text: str, value: object):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (3, 3.0),
        (10**400, None),
        (math.nan, None),
        (-math.inf, None),
        ({"a": 1}, None),
        (b"bytes", None),
        (Tier.GOLD, "gold"),
        (True, True),
        (["vip"], None),
    ],
)
def test_fields_are_taken_as_scalars(raw: object, seen: object):
    value = value_of("x", x=raw)
    assert value == seen
    assert type(value) is type(seen)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("contains(x, 'a')", 1),
        ("contains(x, '1')", 1),
        ("contains(x, 'b')", 0),
        ("contains(x, x)", 0),
        ("length(x)", 4),
        ("x == null", 0),
        ("x == x", None),
        ("x + 1", None),
        ("concat(x)", None),
        ("contains(coalesce(y, x), 'a')", 1),
        ("x ? 1 : 2", 1),
    ],
)
def test_lists_are_for_contains_and_length(text: str, value: object):
    assert value_of(text, x=circle()) == value


def test_a_text_that_grows_too_long_is_null():
    assert value_of("concat(x, x)", x="a" * 5_000) == "a" * 10_000
    assert value_of("concat(x, x, 'a')", x="a" * 5_000) is None
    assert value_of("x + x + x", x="a" * 5_000) is None


def test_operands_that_do_not_matter_are_not_looked_up():
    asked: list[str] = []
    for text in ("0 and a", "1 or a", "1 ? 2 : a", "if(0, a, 1)", "coalesce(1, a)"):
        compile_formula(text).evaluate(asked.append)
    assert asked == []


def test_formulas_read_the_fields_of_a_candidate():
    candidate = loan(personalization={"discount": 0.5})
    run = context(attributes={"tier": "gold", "cart": {"prices": [20]}}, segments=frozenset({"vip"}))
    formula = compile_formula(
        "base_rate - discount * contains(segments, 'vip')"
        " + if(attributes.tier == 'gold' and channel.channelType == 'web', attributes.cart.prices.0, 0)"
    )
    assert formula.evaluate(lambda name: run.lookup(name, candidate)) == 24
    assert formula.names == {
        "base_rate",
        "discount",
        "segments",
        "attributes.tier",
        "channel.channelType",
        "attributes.cart.prices.0",
    }
