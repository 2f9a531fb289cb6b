from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.placeholders import PLACEHOLDERS, explain_placeholder, is_placeholder
from rapport.domain.profiles.identity import Merges, MergeStatement

NOBODY = ["undefined", "NULL", "[object Object]", " anonymous ", "0", "00", "None", "NaN", "-", "'null'", "(none)", ""]
SOMEBODY = ["ann", "10", "0815", "none-of-it", "anonymous-7", "anon_0", "null@example.com", "0-1", "na2", "o", "x" * 99]


@pytest.mark.parametrize("text", [*NOBODY, "00000000-0000-0000-0000-000000000000", "{{customer_id}}", "<undefined>"])
def test_placeholders_are_recognised(text: str):
    assert is_placeholder(text)
    assert repr(text) in explain_placeholder(text)


@pytest.mark.parametrize("text", SOMEBODY)
def test_ids_similar_to_placeholders_are_ids(text: str):
    assert not is_placeholder(text)
    assert explain_placeholder(text) == ""


@given(st.sampled_from(sorted(PLACEHOLDERS)), st.sampled_from(["{}", '"{}"', " {} ", "<{}>"]), st.booleans())
def test_case_quotes_and_spaces_do_not_hide_a_placeholder(text: str, around: str, is_upper: bool):  # noqa: FBT001 - drawn
    assert is_placeholder(around.format(text.upper() if is_upper else text))


def test_merges_by_placeholders_have_no_effect():
    log = [
        MergeStatement("m1", "ann", "undefined"),
        MergeStatement("m2", "undefined", "bob"),
        MergeStatement("m3", "web-7", "ann"),
    ]
    merges = Merges.from_log(log)
    assert [merges.members(one) for one in ("ann", "bob", "undefined")] == [("ann", "web-7"), ("bob",), ("undefined",)]
