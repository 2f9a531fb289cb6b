"""Users' patterns cannot make a search slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.conditions import Condition, ConditionError, compile_condition
from rapport.domain.patterns import MAX_LENGTH, MAX_TEXT, PatternError, compile_pattern

SLOW_ELSEWHERE = [
    "^(a|a)*$",
    "^(a+)+$",
    "^(a|aa)+$",
    "^(a*)*b",
    "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^a]$",
    "(x+x+)+y",
    "(a?){60}a{60}$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",  # OWASP's own example
    r"^([a-zA-Z0-9_.\-])+@(([a-zA-Z0-9\-])+\.)+([a-zA-Z0-9]{2,4})+$",
    r"(?:(?:\"|'|\]|\}|\\|\d|(?:nan|infinity|true|false|null|undefined|symbol|math)|\`|\-|\+)+[)]*;?((?:\s|-|~|!|{}|\|\||\+)*.*(?:.*=.*)))",
]


@pytest.mark.parametrize("pattern", SLOW_ELSEWHERE)
@pytest.mark.parametrize("text", ["a" * 999 + "!", "x" * MAX_TEXT, "x=" * 500, "a@" + "a" * 990], ids=len)
def test_patterns_that_backtrack_elsewhere_are_fast(pattern: str, text: str):
    compiled = compile_pattern(pattern)
    began = time.thread_time()
    compiled.is_in(text)
    assert time.thread_time() - began < 0.1


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)", "no look-around"),
        (r"(a)\1", "no back-references"),
        ("(", "missing )"),
        ("a" * (MAX_LENGTH + 1), f"at most {MAX_LENGTH} characters"),
        (r"\pL{1,500}", "too large"),
        (".{1,500}", "too large"),
        ("\ud800", "half a character"),
    ],
)
def test_an_invalid_pattern_is_explained(pattern: str, why: str):
    with pytest.raises(PatternError, match=why.replace("(", r"\(").replace(")", r"\)")):
        compile_pattern(pattern)
    with pytest.raises(ConditionError, match=why.replace("(", r"\(").replace(")", r"\)")):
        compile_condition(Condition(field="x", operator="regex", value=pattern))


@given(st.text(max_size=MAX_LENGTH), st.text())
def test_any_text_is_a_pattern_or_a_fault_and_can_be_searched(pattern: str, text: str):
    try:
        compiled = compile_pattern(pattern)
    except PatternError:
        return
    assert compiled.is_in(text) in (True, False)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^gold|silver$", "xsilver", True),
        ("a.b", "a\nb", False),
        ("(?s)a.b", "a\nb", True),
        ("(?i)straße", "STRAßE", True),
        (r"^\pL+$", "Ärger", True),
        (r"^\w+$", "Ärger", False),
        ("b$", "b\n", False),
        ("x", "\ud800x", True),
    ],
)
def test_the_dialect_is_re2(pattern: str, text: str, *, found: bool):
    assert compile_pattern(pattern).is_in(text) is found
