from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rapport.domain.json_limits import (
    MAX_DEPTH,
    MAX_INTEGER,
    MIN_INTEGER,
    UNREADABLE,
    JsonFault,
    decode_json,
    decode_stored_object,
    find_json_fault,
    find_value_fault,
    is_too_deep,
    split_array,
)
from rapport.domain.rejections import RejectionCode

LAW = settings(max_examples=200, deadline=None)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet='a"\\[]{},:0é\n', max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='a"\\[{.', max_size=3), inner, max_size=4)
    ),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


def integers_of(value: Any) -> list[int]:
    if isinstance(value, dict | list):
        return [one for inner in (value.values() if isinstance(value, dict) else value) for one in integers_of(inner)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


def wrapped(value: Any, levels: int) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@LAW
@given(value=values, levels=st.integers(0, MAX_DEPTH + 2))
def test_a_text_is_accepted_if_its_depth_and_its_whole_numbers_are_within_the_limits(value: object, levels: int):
    value = wrapped(value, levels)
    text = json.dumps(value, ensure_ascii=False).encode()
    is_right = depth_of(value) <= MAX_DEPTH and all(MIN_INTEGER <= one <= MAX_INTEGER for one in integers_of(value))
    found = decode_json(text)
    assert (found == value) if is_right else isinstance(found, JsonFault)
    assert (find_json_fault(text) is None) is (find_value_fault(value) is None) is is_right


@LAW
@given(value=values, levels=st.integers(0, 5))
def test_the_depth_is_that_of_the_value_whatever_its_texts_hold(value: object, levels: int):
    text = json.dumps(value, ensure_ascii=False).encode()
    assert is_too_deep(text, levels) is (depth_of(value) > levels)


@LAW
@given(text=st.binary() | st.text(alphabet='[]{}",:\\0eE+-.a ', max_size=60).map(str.encode))
@example(b'"' * 1_001)
@example(b'"' + b"\\" * 1_001)
@example(b"[" * 1_001)
@example(b"]" * 500 + b"[" * 500)
def test_any_bytes_are_a_value_or_a_fault(text: bytes):
    found = decode_json(text)
    if not isinstance(found, JsonFault):
        assert json.loads(text) == found
    split_array(text)


@LAW
@given(items=st.lists(values, min_size=1))
def test_an_array_is_cut_where_its_items_end(items: list[object]):
    texts = [json.dumps(item, ensure_ascii=False).encode() for item in items]
    assert split_array(b" [ " + b" , ".join(texts) + b" ] ") == texts


@pytest.mark.parametrize(
    ("text", "field", "code"),
    [
        ('{"a": [1, {"n": 1e999}]}', "a[1].n", RejectionCode.NUMBER_OUT_OF_RANGE),
        ('{"a": "1e999", "b": -1e400}', "b", RejectionCode.NUMBER_OUT_OF_RANGE),
        ('[18446744073709551615, {"\\u00fc": 18446744073709551616}]', "[1].ü", RejectionCode.NUMBER_OUT_OF_RANGE),
        ("[-9223372036854775809]", "[0]", RejectionCode.NUMBER_OUT_OF_RANGE),
        ("9" * 5_000, "", RejectionCode.NUMBER_OUT_OF_RANGE),
        (f"[{'9' * 400}.5]", "[0]", RejectionCode.NUMBER_OUT_OF_RANGE),
        ('{"a":' * 64 + "[]" + "}" * 64, ".".join("a" * 32), RejectionCode.TOO_DEEP),
        ('{"x": [' + "0," * 20_000 + "1e999]}", "", RejectionCode.NUMBER_OUT_OF_RANGE),
        ("{", "", RejectionCode.BAD_JSON),
        ("NaN", "", RejectionCode.BAD_JSON),
        ('"\\ud800"', "", RejectionCode.BAD_JSON),
    ],
    ids=lambda part: str(part)[:40],
)
def test_a_fault_names_where_it_is(text: str, field: str, code: RejectionCode):
    fault = find_json_fault(text.encode())
    assert fault is not None
    assert (fault.field, fault.code) == (field, code)


def test_numbers_within_the_limits_are_what_they_were():
    text = (
        b"[18446744073709551615, -9223372036854775808, 1.7976931348623157e308, 5e-324, 0.1000000000000000055511, -0.0]"
    )
    assert decode_json(text) == [MAX_INTEGER, MIN_INTEGER, 1.7976931348623157e308, 5e-324, 0.1, -0.0]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 2**64, -(2**63) - 1, {"a": [math.nan]}], ids=repr)
def test_values_of_files_have_the_same_limits(value: object):
    fault = find_value_fault(value)
    assert fault is not None
    assert fault.code is RejectionCode.NUMBER_OUT_OF_RANGE


def test_a_fault_shortens_a_long_number():
    faults = [find_json_fault(b"9" * 5_000), find_value_fault(10**5_000)]
    assert all(fault is not None and len(fault.message) < 200 for fault in faults)


@pytest.mark.parametrize(
    "unit",
    [b"[],", b'"",', b'"\\"",', b"{},", b"[" * 60 + b"]" * 60 + b",", b"12345678901234567890,", b"\\", b'"', b"1e1,"],
)
def test_work_grows_no_faster_than_the_text(unit: bytes):
    """A quadratic step would take minutes here; all of it takes a second."""
    text = b"[" + unit * (1_000_000 // len(unit)) + b"1e999]"
    assert find_json_fault(text) is not None
    split_array(text)


@pytest.mark.parametrize(
    "text", ['{"n": 1e999}', '{"n": %s}' % ("9" * 5_000), '{"a":' * 971 + "1" + "}" * 971, "[1]", "no JSON"]
)
def test_stored_text_that_cannot_be_decoded_is_returned_as_text(text: str):
    assert decode_stored_object(text) == {UNREADABLE: text}
    assert decode_stored_object('{"n": 1}') == {"n": 1}
