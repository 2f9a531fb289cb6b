from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.domain.events import (
    MAX_CONVERSION_VALUE,
    MAX_EVENT_BYTES,
    MAX_FUTURE_MS,
    DecisionMade,
    Event,
    InteractionRecorded,
    decode_event,
    decode_message,
    encode_event,
    make_message_key,
    resolve_time,
    split_items,
)
from rapport.domain.rejections import Rejection, RejectionCode
from tests.fixtures.events import (
    CLICK,
    DECISION,
    FIELDS,
    add_json_fields,
    decisions,
    ids,
    interactions,
    json_values,
    to_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

E = TypeVar("E", InteractionRecorded, DecisionMade)

LAW = settings(max_examples=100, deadline=None)
NOW = 1_773_585_000_000


def plain(event: Event, *but: str) -> dict[str, Any]:
    """Return the fields of an event, free-form ones as bytes, which unlike Raw compare by content."""
    fields = msgspec.structs.asdict(event).items()
    return {name: bytes(v) if isinstance(v, msgspec.Raw) else v for name, v in fields if name not in but}


def shown(found: Event | Rejection) -> object:
    return found if isinstance(found, Rejection) else (type(found), plain(found))


def decoded(item: bytes, kind: type[E]) -> E:
    event = decode_event(item)
    assert isinstance(event, kind)
    return event


@LAW
@given(event=interactions)
def test_an_encoded_interaction_decodes_to_itself(event: InteractionRecorded):
    assert plain(decoded(encode_event(event), InteractionRecorded)) == plain(event)


@LAW
@given(event=decisions)
def test_an_encoded_decision_decodes_to_itself(event: DecisionMade):
    assert plain(decoded(encode_event(event), DecisionMade)) == plain(event)


@LAW
@given(event=interactions | decisions)
def test_an_event_alone_and_in_an_array_are_the_same(event: Event):
    text = encode_event(event)
    assert split_items(text) == [text]
    assert split_items(b"[" + text + b", " + text + b"]") == [text, text]


@LAW
@given(texts=st.lists((interactions | decisions).map(encode_event) | json_values.map(to_json), max_size=4))
def test_an_array_decodes_to_the_events_of_its_items(texts: list[bytes]):
    found = decode_message(b"[" + b",".join(texts) + b"]")
    assert not isinstance(found, Rejection)
    assert [shown(event) for _, event in found] == [shown(decode_event(text)) for text in texts]


@LAW
@given(event=interactions, extra=st.dictionaries(ids, json_values, max_size=4))
def test_unknown_fields_move_to_metadata_and_do_not_overwrite_it(
    event: InteractionRecorded, extra: Mapping[str, object]
):
    unknown = {name: value for name, value in extra.items() if name not in FIELDS}
    found = decoded(add_json_fields(encode_event(event), unknown), InteractionRecorded)
    assert json.loads(bytes(found.metadata)) == unknown | json.loads(bytes(event.metadata))
    assert plain(found, "metadata") == plain(event, "metadata")


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"metadata": {}},
        {"metadata": None},
    ],
)
def test_unknown_fields_are_kept_when_the_producer_sends_no_metadata(metadata: dict[str, object]):
    event = decoded(to_json({**CLICK, **metadata, "campaign": {"id": 7}}), InteractionRecorded)
    assert json.loads(bytes(event.metadata)) == {"campaign": {"id": 7}}


def test_unknown_fields_of_a_decision_end_up_in_the_decision():
    event = decoded(to_json({**DECISION, "decision": {"offers": []}, "flow": "f1"}), DecisionMade)
    assert json.loads(bytes(event.decision)) == {"offers": [], "flow": "f1"}


@pytest.mark.parametrize("decision", [5, "text", [1]])
def test_a_decision_is_an_object(decision: object):
    rejection = decode_event(to_json({**DECISION, "decision": decision}))
    assert isinstance(rejection, Rejection)
    assert rejection.code is RejectionCode.INVALID_FIELD


def test_an_event_without_a_type_is_an_interaction():
    assert decode_event(to_json(CLICK)) == decode_event(to_json({**CLICK, "type": "interaction.recorded.v1"}))


def test_free_form_fields_keep_their_text():
    text = to_json(CLICK)[:-1] + b', "context" :  { "b": 1.00, "a": "\\u00fc"} }'
    assert bytes(decoded(text, InteractionRecorded).context) == b'{ "b": 1.00, "a": "\\u00fc"}'


def test_content_of_exactly_the_allowed_size_is_accepted():
    content = {"a": "x" * (MAX_EVENT_BYTES - len('{"a": ""}'))}
    assert len(bytes(decoded(to_json({**CLICK, "context": content}), InteractionRecorded).context)) == MAX_EVENT_BYTES


@pytest.mark.parametrize("value", [0, 0.000001, 7, MAX_CONVERSION_VALUE, -0.01, -MAX_CONVERSION_VALUE])
def test_conversion_values_up_to_a_billion_either_way_are_accepted(value: float):
    event = decoded(to_json({**CLICK, "conversionValue": value}), InteractionRecorded)
    assert event.conversion_value == value


@pytest.mark.parametrize(
    ("timestamp", "resolved"),
    [
        (None, "2026-03-15T14:30:00.000Z"),
        ("2026-03-15T14:30:00.000Z", "2026-03-15T14:30:00.000Z"),
        ("2026-03-15T16:30:00+02:00", "2026-03-15T14:30:00.000Z"),
        ("2026-03-15T14:30:00", "2026-03-15T14:30:00.000Z"),
        ("2026-03-15 14:30", "2026-03-15T14:30:00.000Z"),
        ("2026-03-15", "2026-03-15T00:00:00.000Z"),
        ("2026-03-15T14:30:00.123456Z", "2026-03-15T14:30:00.123Z"),
        ("2026-03-15T14:30:00.999999Z", "2026-03-15T14:30:00.999Z"),
        (1_773_585_000_000, "2026-03-15T14:30:00.000Z"),
        (1_773_585_000_000.9, "2026-03-15T14:30:00.000Z"),
        ("1970-01-02", "1970-01-02T00:00:00.000Z"),
        ("1773585000000", "2026-03-15T14:30:00.000Z"),
        (NOW + MAX_FUTURE_MS, "2026-03-16T14:30:00.000Z"),
    ],
)
def test_a_timestamp_is_iso_8601_utc_by_default_or_epoch_milliseconds(timestamp: str | float | None, resolved: str):
    assert resolve_time(timestamp, NOW) == round(datetime.fromisoformat(resolved).timestamp() * 1000)


@LAW
@given(occurred_at_ms=st.integers(86_400_000, NOW + MAX_FUTURE_MS), offset_min=st.integers(-23 * 60, 23 * 60))
def test_a_written_time_resolves_to_the_millisecond_it_names(occurred_at_ms: int, offset_min: int):
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=occurred_at_ms)
    local = moment.astimezone(timezone(timedelta(minutes=offset_min)))
    assert resolve_time(local.isoformat(timespec="milliseconds"), NOW) == occurred_at_ms


@LAW
@given(
    timestamp=st.none() | st.text() | st.integers(-(2**63), 2**63) | st.floats(),
    received_at_ms=st.integers(-1, 10**15),
)
def test_a_resolved_time_lies_between_1970_and_a_day_after_receipt(timestamp: str | float | None, received_at_ms: int):
    resolved = resolve_time(timestamp, received_at_ms)
    assert isinstance(resolved, Rejection) or 0 <= resolved <= received_at_ms + MAX_FUTURE_MS


def test_the_key_of_a_message_keeps_a_customer_in_one_partition():
    assert make_message_key("acme", "jürgen") == "acme:jürgen".encode()
