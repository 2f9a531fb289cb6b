"""Parsing of templates: positions of tags and attributes, limits, and linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.decisions.output.markup import find_attributes, find_regions
from rapport.domain.decisions.output.templates import (
    MAX_PLACEHOLDERS,
    MAX_TEMPLATE,
    find_template_fault,
    parse_template,
)

PLAIN = ("sms_text", "body")
PIECES = ["<a<", "<a b='", "<p>{x}</p>", '<a href="{x}" ', "<{x}", "<script>{x}", '"<a {x}', "<a 'x\"", "</script "]


@pytest.mark.parametrize("piece", PIECES)
def test_parsing_time_grows_about_linearly_with_the_template(piece: str):
    def seconds(times: int) -> float:
        began = time.thread_time()
        parse_template.__wrapped__("email_html", "body", piece * times)
        return time.thread_time() - began

    assert min(seconds(16_000) for _ in range(3)) < 12 * min(seconds(4_000) for _ in range(3)) + 0.01


@given(
    st.lists(st.sampled_from(["<a ", "<b", ">", '"', "'", "=", " ", "x", "<script>", "</script>", "{y}"])).map("".join)
)
def test_regions_and_attributes_are_ordered_and_nested(text: str):
    end = 0
    for region in find_regions(text):
        assert end <= region.start < region.end <= len(text)
        end, inner = region.end, region.start
        for attribute in () if region.is_code else find_attributes(text, region):
            assert inner < attribute.start <= attribute.end < region.end
            assert text[attribute.start - 1] == text[attribute.end] in "\"'"
            inner = attribute.end


def test_a_template_beyond_the_limits_is_reported():
    assert find_template_fault(*PLAIN, "x" * MAX_TEMPLATE + "{y}" * MAX_PLACEHOLDERS).startswith(
        "has 203,000 characters"
    )
    assert find_template_fault(*PLAIN, "{y}" * (MAX_PLACEHOLDERS + 1)) == "has 1,001 placeholders; 1,000 are allowed"
    assert find_template_fault(*PLAIN, "{y}" * MAX_PLACEHOLDERS) == ""
