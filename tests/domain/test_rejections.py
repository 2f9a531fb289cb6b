from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rapport.domain.events import (
    MAX_CONVERSION_VALUE,
    MAX_EVENT_BYTES,
    MAX_FUTURE_MS,
    Event,
    InteractionRecorded,
    MessageItem,
    decode_event,
    decode_message,
    encode_event,
    resolve_time,
    split_items,
)
from rapport.domain.json_limits import MAX_DEPTH
from rapport.domain.rejections import Rejection, RejectionCode
from tests.fixtures.events import CLICK, DECISION, FIELDS, decisions, interactions, json_values, to_json

LAW = settings(max_examples=100, deadline=None)
NOW = 1_773_585_000_000


def click_with(**fields: object) -> bytes:
    return to_json({**CLICK, **fields})


def without(fields: object, name: str) -> bytes:
    return to_json({k: v for k, v in dict(fields).items() if k != name})


def read_wholly(value: bytes | None) -> list[Event | Rejection | int]:
    """Process a message's bytes as the stream does, up to the first lookup."""
    items = decode_message(value)
    if isinstance(items, Rejection):
        return [items]
    events = [event for _, event in items]
    found: list[Event | Rejection | int] = list(events)
    found += [resolve_time(event.timestamp, NOW) for event in events if not isinstance(event, Rejection)]
    return found


@LAW
@given(value=st.none() | st.binary())
@example(b"\xef\xbb\xbf{}")
@example(b" \x0b{}")
@example(b"[{}")
@example(b"{}{}")
@example(b'{"tenantId":NaN}')
@example(b'{"tenantId":"\\ud800"}')
def test_no_bytes_raise(value: bytes | None):
    assert all(isinstance(found, Rejection) for found in read_wholly(value))


@LAW
@given(value=json_values)
def test_no_json_raises(value: object):
    read_wholly(to_json(value))


@LAW
@given(fields=st.dictionaries(st.sampled_from(sorted(FIELDS)), json_values), event=interactions)
def test_no_field_of_another_type_raises(fields: dict[str, object], event: InteractionRecorded):
    read_wholly(to_json(json.loads(encode_event(event)) | fields))


@LAW
@given(event=interactions | decisions, data=st.data())
def test_no_damaged_event_raises(event: Event, data: st.DataObject):
    text = bytearray(encode_event(event))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 8, len(text))))
        text[start:end] = data.draw(st.sampled_from([b"", b'"', b"{", b"}", b"[", b"\\", b",", b"1", b"\xff"]))
    read_wholly(bytes(text))


@pytest.mark.parametrize("closing", [b"", b"]" * 20_000], ids=["open", "closed"])
@pytest.mark.parametrize("before", [b"", b"[{},", b'{"a":', click_with()[:-1] + b',"context":'], ids=repr)
def test_no_depth_of_nesting_raises(before: bytes, closing: bytes):
    after = {b"": b"", b"[": b"]", b"{": b"}"}[before[:1]]
    assert any(isinstance(found, Rejection) for found in read_wholly(before + b"[" * 20_000 + closing + after))


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 500, 900, 950, 1_000, 30_000])
@pytest.mark.parametrize("frames", [0, 300])
def test_an_item_that_is_too_deep_does_not_affect_the_others(depth: int, frames: int):
    def decode(frames: int) -> Sequence[MessageItem] | Rejection:
        return decode(frames - 1) if frames else decode_message(b"[" + b" , ".join(texts) + b"]")

    texts = [click_with(idempotencyKey="1"), nested(depth), click_with(idempotencyKey="2"), b"7"]
    items = decode(frames)
    assert not isinstance(items, Rejection)
    assert [text for text, _ in items] == texts
    codes = [event.code if isinstance(event, Rejection) else None for _, event in items]
    assert codes == [None, None if depth <= MAX_DEPTH else RejectionCode.TOO_DEEP, None, RejectionCode.NOT_AN_OBJECT]


@pytest.mark.parametrize("array", ["[%s,]", "[%s", "[%s]]", "[%s][1]", "[%s] 1", "[{}}],%s", "[%s,{]"])
def test_an_array_that_is_no_json_is_rejected_at_any_depth(array: str):
    for depth in (1, 500, 30_000):
        rejection = decode_message((array % nested(depth).decode()).encode())
        assert isinstance(rejection, Rejection)
        assert rejection.code is RejectionCode.BAD_JSON


@pytest.mark.parametrize("field", ["timestamp", "conversionValue", "rank"])
@pytest.mark.parametrize("number", ["9" * 20, "-" + "9" * 20, "9" * 100_000, "1e309", "1e-400", "0." + "9" * 400])
def test_no_size_of_a_number_raises(field: str, number: str):
    read_wholly(click_with()[:-1] + f',"{field}":{number}}}'.encode())


@pytest.mark.parametrize("digits", [309, 4_300])
def test_no_length_of_a_timestamp_raises(digits: int):
    read_wholly(click_with()[:-1] + b',"timestamp":' + b"9" * digits + b"}")


def nested(depth: int) -> bytes:
    return click_with()[:-1] + b',"metadata":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


def numbered(number: str) -> bytes:
    return click_with()[:-1] + f',"metadata":{{"sums":[1,{number}]}}}}'.encode()


SPLIT_FAULTS = [
    (None, RejectionCode.EMPTY),
    (b"", RejectionCode.EMPTY),
    (b'{"tenantId":"\xff"}', RejectionCode.BAD_UTF8),
    (b'{"tenantId":"\xed\xa0\x80"}', RejectionCode.BAD_UTF8),
    (b" ", RejectionCode.BAD_JSON),
    (b"[{},", RejectionCode.BAD_JSON),
    (b"nonsense", RejectionCode.BAD_JSON),
    (b"7", RejectionCode.NOT_AN_OBJECT),
    (b'"text"', RejectionCode.NOT_AN_OBJECT),
    (b"null", RejectionCode.NOT_AN_OBJECT),
]
EVENT_FAULTS = [
    (b'{"tenantId":"acme"', RejectionCode.BAD_JSON),
    (b"[]", RejectionCode.NOT_AN_OBJECT),
    (b"null", RejectionCode.NOT_AN_OBJECT),
    (b"{}", RejectionCode.MISSING_FIELD),
    *[(without(CLICK, name), RejectionCode.MISSING_FIELD) for name in CLICK],
    (without(DECISION, "recommendationId"), RejectionCode.MISSING_FIELD),
    *[(click_with(**{name: ""}), RejectionCode.INVALID_FIELD) for name in CLICK],
    *[(click_with(**{name: "x" * 257}), RejectionCode.INVALID_FIELD) for name in (*CLICK, "offerId")],
    (click_with(customerId=7), RejectionCode.INVALID_FIELD),
    (click_with(direction="sideways"), RejectionCode.INVALID_FIELD),
    (click_with(timestamp=True), RejectionCode.INVALID_FIELD),
    (click_with(conversionValue="7"), RejectionCode.INVALID_FIELD),
    (click_with(rank=0), RejectionCode.INVALID_FIELD),
    (click_with(rank=65_536), RejectionCode.INVALID_FIELD),
    *[(click_with(**{name: [1]}), RejectionCode.INVALID_FIELD) for name in ("context", "outcomeDetails", "metadata")],
    (click_with(metadata="text", unknown=1), RejectionCode.INVALID_FIELD),
    (click_with(type="interaction.recorded.v2"), RejectionCode.UNKNOWN_TYPE),
    (click_with(type=None), RejectionCode.UNKNOWN_TYPE),
    (click_with(context={"a": "x" * MAX_EVENT_BYTES}), RejectionCode.TOO_LARGE),
    (click_with(unknown="x" * MAX_EVENT_BYTES), RejectionCode.TOO_LARGE),
    *[(nested(depth), RejectionCode.TOO_DEEP) for depth in (MAX_DEPTH + 1, 500, 100_000)],
    *[(numbered(number), RejectionCode.NUMBER_OUT_OF_RANGE) for number in ("1e999", "-1e999", "2" * 20, "9" * 5_000)],
    (click_with(conversionValue=-MAX_CONVERSION_VALUE - 1), RejectionCode.INVALID_VALUE),
    (click_with(conversionValue=MAX_CONVERSION_VALUE + 1), RejectionCode.INVALID_VALUE),
]
TIME_FAULTS = [
    ("yesterday", RejectionCode.INVALID_TIMESTAMP),
    ("", RejectionCode.INVALID_TIMESTAMP),
    (1_773_585_000, RejectionCode.INVALID_TIMESTAMP),
    ("202603151430", RejectionCode.INVALID_TIMESTAMP),
    ("2026-13-01", RejectionCode.INVALID_TIMESTAMP),
    ("2026-02-29T00:00:00Z", RejectionCode.INVALID_TIMESTAMP),
    (math.nan, RejectionCode.INVALID_TIMESTAMP),
    (math.inf, RejectionCode.INVALID_TIMESTAMP),
    (-1, RejectionCode.TIMESTAMP_OUT_OF_RANGE),
    ("1969-12-31T23:59:59.999Z", RejectionCode.TIMESTAMP_OUT_OF_RANGE),
    ("0001-01-01T00:00:00+23:59", RejectionCode.TIMESTAMP_OUT_OF_RANGE),
    ("9999-12-31T23:59:59-23:59", RejectionCode.TIMESTAMP_OUT_OF_RANGE),
    (NOW + MAX_FUTURE_MS + 1, RejectionCode.TIMESTAMP_OUT_OF_RANGE),
    (1e300, RejectionCode.INVALID_TIMESTAMP),
    (1_773_585_000_000_000, RejectionCode.TIMESTAMP_OUT_OF_RANGE),
]
GIVEN_BY_THE_STREAM = {
    RejectionCode.UNKNOWN_TENANT,
    RejectionCode.UNKNOWN_OUTCOME,
    RejectionCode.IDEMPOTENCY_CONFLICT,
    RejectionCode.LOST_TO_RETENTION,
    RejectionCode.UNPROCESSABLE,
    RejectionCode.UNREADABLE_BATCH,
    RejectionCode.SKIPPED,
}


@pytest.mark.parametrize(("value", "code"), SPLIT_FAULTS)
def test_a_value_that_holds_no_events_says_why(value: bytes | None, code: RejectionCode):
    rejection = split_items(value)
    assert isinstance(rejection, Rejection)
    assert (rejection.code, rejection.tenant_id) == (code, "")
    assert rejection.detail


@pytest.mark.parametrize(("item", "code"), EVENT_FAULTS, ids=lambda part: str(part)[:80])
def test_an_event_that_cannot_be_used_says_why(item: bytes, code: RejectionCode):
    rejection = decode_event(item)
    assert isinstance(rejection, Rejection)
    assert rejection.code is code
    assert rejection.detail


@pytest.mark.parametrize(("timestamp", "code"), TIME_FAULTS)
def test_a_timestamp_that_cannot_be_used_says_why(timestamp: str | float, code: RejectionCode):
    rejection = resolve_time(timestamp, NOW)
    assert isinstance(rejection, Rejection)
    assert rejection.code is code
    assert rejection.detail


def test_every_reason_code_has_an_example_here_or_is_given_by_the_stream():
    shown = {code for _, code in (*SPLIT_FAULTS, *EVENT_FAULTS, *TIME_FAULTS)}
    assert shown | GIVEN_BY_THE_STREAM == set(RejectionCode)
    assert not shown & GIVEN_BY_THE_STREAM


@pytest.mark.parametrize(
    "broken", [{"outcome": None}, {"type": "x"}, {"conversionValue": "x"}, {"context": 1}, {"rank": "first"}], ids=repr
)
def test_a_rejected_event_names_its_tenant(broken: dict[str, object]):
    rejection = decode_event(click_with(**broken))
    assert isinstance(rejection, Rejection)
    assert rejection.tenant_id == "acme"


@pytest.mark.parametrize(
    ("item", "named"),
    [
        (without(CLICK, "outcome"), "`outcome`"),
        (click_with(rank=0), "$.rank"),
        (click_with(direction="sideways"), "$.direction"),
        (click_with(metadata=[]), "metadata"),
        (click_with(conversionValue=2e9), "conversionValue"),
        (click_with(type="x"), "decision.made.v1"),
        (numbered("1e999"), "metadata.sums[1] cannot hold 1e999"),
        (click_with()[:-1] + b',"unknown":[-1e999]}', "metadata.unknown[0] cannot hold -1e999"),
        (to_json(DECISION)[:-1] + b',"decision":{"n":1e999}}', "decision.n cannot hold 1e999"),
    ],
)
def test_a_reason_names_the_field_or_what_would_have_been_right(item: bytes, named: str):
    rejection = decode_event(item)
    assert isinstance(rejection, Rejection)
    assert named in rejection.detail
