"""Columns become fields: mapped ones, constants, keys that identify an event, and values that the contract refuses."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.application.imports.cells import CellConverter, from_json, from_text, from_value
from rapport.application.imports.feeds import LineFault, Message
from rapport.application.imports.row_mapper import ColumnMapping, MappingError, RowMapper, parse_assignments
from rapport.domain.events import InteractionRecorded, decode_event, encode_event

NOW_MS = 1_750_000_000_000
ROW = {"tenantId": "t", "customerId": "c", "outcome": "click"}
NOTHING = ColumnMapping(columns={}, constants={})


def mapper(mapping: ColumnMapping = NOTHING, convert: CellConverter = from_text, **options: Any) -> RowMapper:
    return RowMapper(mapping, "f.csv", convert, now_ms=NOW_MS, **options)


def fields(entry: Message | LineFault) -> dict[str, Any]:
    assert isinstance(entry, Message), entry
    found = json.loads(entry.value)
    assert isinstance(found, dict)
    return found


def fault(entry: Message | LineFault) -> tuple[int, str]:
    assert isinstance(entry, LineFault), entry
    return entry.number, entry.code


def test_a_column_named_like_a_field_is_that_field_and_others_are_metadata():
    found = fields(mapper().prepare(2, ROW | {"colour": "red"}))
    assert found == ROW | {"idempotencyKey": "f.csv:2", "metadata": {"colour": "red"}}


def test_a_mapped_column_does_not_appear_under_its_own_name():
    mapping = ColumnMapping(columns={"customerId": "cust_id", "offerId": "cust_id"}, constants={"tenantId": "t"})
    found = fields(mapper(mapping).prepare(2, {"cust_id": "7", "outcome": "click", "tenantId": "other"}))
    assert (found["customerId"], found["offerId"], found["tenantId"]) == ("7", "7", "t")
    assert "metadata" not in found


def test_two_columns_can_change_places():
    mapping = ColumnMapping(columns={"offerId": "creativeId", "creativeId": "offerId"}, constants={})
    found = fields(mapper(mapping).prepare(2, ROW | {"offerId": "a", "creativeId": "b"}))
    assert (found["offerId"], found["creativeId"]) == ("b", "a")


def test_the_key_is_the_message_key_of_the_customer():
    entry = mapper().prepare(2, ROW)
    assert isinstance(entry, Message)
    assert entry.key == b"t:c"


def test_a_constant_is_converted_like_a_cell():
    mapping = ColumnMapping(columns={}, constants={"conversionValue": "1.50", "context": '{"a": 1}'})
    found = fields(mapper(mapping).prepare(2, ROW))
    assert (found["conversionValue"], found["context"]) == (1.5, {"a": 1})


def test_key_columns_identify_an_event_whatever_its_line():
    mapping = ColumnMapping(columns={}, constants={}, key_columns=("order", "line"))
    keys = [
        fields(mapper(mapping).prepare(number, ROW | {"order": order, "line": line}))["idempotencyKey"]
        for number, order, line in [(2, "1", "1"), (9, "1", "1"), (3, "11", ""), (4, "1", "11"), (5, "11", "1")]
        if line
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_row_without_its_key_column_is_faulty():
    mapping = ColumnMapping(columns={}, constants={}, key_columns=("order",))
    assert fault(mapper(mapping).prepare(3, ROW | {"order": ""})) == (3, "missing_key_column")
    assert fault(mapper(mapping).prepare(4, ROW)) == (4, "missing_key_column")


def test_a_key_in_the_file_is_kept_and_a_long_file_name_still_makes_one():
    assert fields(mapper().prepare(2, ROW | {"idempotencyKey": "own"}))["idempotencyKey"] == "own"
    long = RowMapper(NOTHING, "x" * 255, from_text, now_ms=NOW_MS)
    keys = [fields(long.prepare(number, ROW))["idempotencyKey"] for number in (2, 3)]
    assert len(set(keys)) == 2
    assert all(len(key) <= 256 for key in keys)


@pytest.mark.parametrize(
    ("columns", "constants", "keys", "says"),
    [
        ({"customer": "c"}, {}, (), "customer: no field"),
        ({"offerId": "o"}, {"offerId": "x"}, (), "offerId: given in two ways"),
        ({"idempotencyKey": "k"}, {}, ("order",), "idempotencyKey: given in two ways"),
    ],
)
def test_an_invalid_mapping_is_refused(
    columns: dict[str, str], constants: dict[str, str], keys: tuple[str, ...], says: str
):
    with pytest.raises(MappingError, match=says):
        ColumnMapping(columns=columns, constants=constants, key_columns=keys)


def test_missing_columns_are_named_with_the_existing_ones():
    mapping = ColumnMapping(columns={"customerId": "cust"}, constants={}, key_columns=("order",))
    with pytest.raises(MappingError, match=r"no column cust, order; it has a, b"):
        mapping.check_columns(["a", "b"])


@pytest.mark.parametrize("text", ["customerId", "=x", "customerId=", "a=b=", ""])
def test_assignments_must_be_field_equals_value(text: str):
    if text == "a=b=":
        assert parse_assignments("--map", [text]) == {"a": "b="}
        return
    with pytest.raises(MappingError, match="FIELD=VALUE"):
        parse_assignments("--map", [text])


def test_a_field_is_assigned_once():
    with pytest.raises(MappingError, match="twice"):
        parse_assignments("--map", ["a=b", "a=c"])


@pytest.mark.parametrize(
    ("field", "text", "code"),
    [
        ("conversionValue", "1,5", "invalid_field"),
        ("conversionValue", "nan", "invalid_field"),
        ("conversionValue", "1e999", "invalid_field"),
        ("conversionValue", "-1e10", "invalid_value"),
        ("rank", "0", "invalid_field"),
        ("rank", "first", "invalid_field"),
        ("direction", "up", "invalid_field"),
        ("context", "[1]", "invalid_field"),
        ("context", "{", "invalid_field"),
        ("timestamp", "yesterday", "invalid_timestamp"),
        ("timestamp", "1700000000", "invalid_timestamp"),  # seconds: not guessed
        ("timestamp", "1899-12-31", "timestamp_out_of_range"),
        ("timestamp", "99999999999999", "timestamp_out_of_range"),
        ("customerId", "", "missing_field"),
        ("customerId", "\udcff", "bad_utf8"),
        ("type", "other.v1", "unknown_type"),
    ],
)
def test_an_event_that_the_contract_refuses_is_a_line_fault(field: str, text: str, code: str):
    assert fault(mapper().prepare(5, ROW | {field: text})) == (5, code)


def test_text_is_converted_to_the_type_of_the_field():
    texts = {
        "conversionValue": "12.50",
        "rank": "3",
        "timestamp": "1700000000000",
        "metadata": '{"a":1}',
        "offerId": "",
    }
    found = fields(mapper().prepare(2, ROW | texts))
    wanted = {"conversionValue": 12.5, "rank": 3, "timestamp": "1700000000000", "metadata": {"a": 1}}
    assert found == ROW | wanted | {"idempotencyKey": "f.csv:2"}
    assert fields(mapper().prepare(2, ROW | {"timestamp": "19970101"}))["timestamp"] == "19970101"


def test_not_a_number_in_a_typed_cell_is_not_lost():
    typed = mapper(convert=from_value)
    row = ROW | {"customerId": 7, "conversionValue": 1.25, "offerId": None}
    assert fields(typed.prepare(1, row))["customerId"] == "7"
    assert fault(typed.prepare(1, row | {"conversionValue": float("nan")})) == (1, "invalid_field")


def test_json_values_are_unchanged_unless_mapped():
    strict = mapper(convert=from_json, converts_unmapped=False)
    mapping = ColumnMapping(columns={"customerId": "id"}, constants={})
    assert fault(strict.prepare(1, _raw(ROW | {"customerId": 7}))) == (1, "invalid_field")
    mapped = mapper(mapping, from_json, converts_unmapped=False)
    assert fields(mapped.prepare(1, _raw(ROW | {"id": 7})))["customerId"] == "7"


def test_a_decision_is_given_no_idempotency_key():
    row = {"type": "decision.made.v1", "tenantId": "t", "customerId": "c", "recommendationId": "r"}
    expected = row | {"decision": {"flow": 1}}
    entry = mapper(convert=from_json, converts_unmapped=False).prepare(1, _raw(expected))
    assert fields(entry) == expected


@given(
    st.builds(
        InteractionRecorded,
        tenant_id=st.text(min_size=1, max_size=20),
        customer_id=st.text(min_size=1, max_size=20).map("c{}".format),
        outcome=st.sampled_from(["click", "convert"]),
        idempotency_key=st.text(min_size=1, max_size=20),
        offer_id=st.none() | st.text(max_size=5),
        rank=st.none() | st.integers(1, 65_535),
        conversion_value=st.none() | st.floats(0, 1e9),
    )
)
def test_a_valid_event_passes_unchanged(event: InteractionRecorded):
    row = _raw(json.loads(encode_event(event)))
    entry = mapper(convert=from_json, converts_unmapped=False).prepare(1, row)
    assert isinstance(entry, Message)
    assert decode_event(entry.value) == event
    assert entry.key == f"{event.tenant_id}:{event.customer_id}".encode()


def _raw(row: dict[str, Any]) -> dict[str, Any]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in row.items()}
