"""Random expressions, texts and fields."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st

from rapport.domain.formulas import print_expression
from rapport.domain.formulas.expressions import (
    PRECEDENCE,
    Binary,
    Call,
    Conditional,
    Expression,
    Name,
    Negative,
    Not,
    Null,
    Number,
    Text,
    Truth,
)
from rapport.domain.formulas.functions import FUNCTIONS

NAMES = ["base_rate", "customer.score", "attributes.items.0", "größe", "my-field", "and", "max", "2nd"]
WORDS = [
    *NAMES, *PRECEDENCE, *FUNCTIONS, *FUNCTIONS, "not", "!", "?", ":", "(", "(", ")", ")", ",", ",", '"', "'", '"a"',
    "'b'", "\\", "true", "false", "null", "0", "12", "0.5", "1e308", "1e-5", "-", "&", "=", "`", ".", "\n", " ", "#",
]  # fmt: skip


def calls(arguments: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def call(name: str) -> st.SearchStrategy[Expression]:
        function = FUNCTIONS[name]
        most = function.most or 4
        return st.lists(arguments, min_size=function.least, max_size=most).map(lambda given: Call(name, tuple(given)))

    return st.sampled_from(sorted(set(FUNCTIONS) - {"if"})).flatmap(call)


def larger(smaller: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    return st.one_of(
        st.builds(Negative, smaller),
        st.builds(Not, smaller),
        st.builds(Binary, st.sampled_from(sorted(PRECEDENCE)), smaller, smaller),
        st.builds(Conditional, smaller, smaller, smaller),
        calls(smaller),
    )


def without(text: str, at: int) -> str:
    return text[:at] + text[at + 1 :]


quoted_names = st.text(min_size=1).filter(lambda name: not set("`\r\n") & set(name))
leaves: st.SearchStrategy[Expression] = st.one_of(
    st.builds(Number, st.floats(0, allow_nan=False, allow_infinity=False)),
    st.builds(Number, st.integers(0, 100).map(float)),
    st.builds(Text, st.text()),
    st.builds(Text, st.sampled_from(["2", "1e3", "nan", "false", "", "\\"])),
    st.builds(Truth, st.booleans()),
    st.just(Null()),
    st.builds(Name, st.sampled_from(NAMES) | quoted_names),
)
expressions = st.recursive(leaves, larger, max_leaves=30)
texts = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=20).map("".join),
    st.text(string.printable, max_size=40),
    st.builds(without, expressions.map(print_expression), st.integers(0, 100)),
)


def circle() -> list[Any]:
    """Make a list that contains itself."""
    items: list[Any] = ["a", 1, None]
    items.append(items)
    return items


fields: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([10**400, -(2**63)]),
        st.floats(),
        st.text(),
        st.sampled_from(["12", "1e9999", "-0.5", "x" * 9_000, "1" * 5_000]),
        st.binary(),
        st.builds(object),
        st.builds(circle),
    ),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(inner).map(tuple),
    max_leaves=5,
)
