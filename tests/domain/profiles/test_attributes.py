from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.catalogue.customer_schema import CustomerSchema, SchemaField
from rapport.domain.catalogue.values import Status
from rapport.domain.faults import Fault
from rapport.domain.numbers import BEYOND, MAX_NUMBER
from rapport.domain.profiles.attributes import MAX_BYTES, AttributeSchema, complete
from rapport.domain.profiles.rows import CustomerRow, apply_rows

FIELDS = (
    SchemaField(name="tier", required=True, max_length=5),
    SchemaField(name="age", data_type="number"),
    SchemaField(name="vip", data_type="boolean", default_value=False),
    SchemaField(name="born", data_type="date"),
    SchemaField(name="seen", data_type="datetime"),
)
PEOPLE = CustomerSchema(id="people", key="people", name="People", fields=FIELDS)
FORM = AttributeSchema.from_schemas([PEOPLE])
GOLD = {"tier": "gold"}
scalars = (
    st.none() | st.booleans() | st.integers(-MAX_NUMBER, MAX_NUMBER) | st.floats(-MAX_NUMBER, MAX_NUMBER) | st.text()
)
anything = st.dictionaries(st.sampled_from(["tier", "age", "vip", "born", "seen", "shoe", "note"]), scalars)


def value_of(name: str, value: Any, *, is_text: bool = False) -> Any:
    """Return a value in its stored form, or the message of its fault."""
    done = complete(FORM, {**GOLD, name: value}, is_text=is_text)
    return done[0].message if isinstance(done, list) else done[name]


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("age", "33", 33),
        ("age", "-3", -3),
        ("age", "33.0", 33.0),
        ("age", "1e3", 1000.0),
        ("age", "9007199254740991", MAX_NUMBER),
        ("age", "9007199254740992", BEYOND),
        ("age", "99999999999999999999", BEYOND),
        ("age", " 33 ", 33),
        *(
            ("age", text, "must be a number in plain digits, as 1234.5")
            for text in ("nan", "", "1_000", "\uff13", "\xa07", "1e999")
        ),
        ("vip", "Yes", True),
        ("vip", "0", False),
        ("vip", "2", "must be true or false"),
        ("tier", "12345", "12345"),
        ("tier", "123456", "may have 5 characters"),
        ("note", "12", "12"),
    ],
)
def test_texts_of_a_file_are_converted_to_the_types_of_the_schema(name: str, text: str, kept: Any):
    value = value_of(name, text, is_text=True)
    assert (type(value), value) == (type(kept), kept)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("age", 33, 33),
        ("age", True, "must be a number"),
        ("age", "33", "must be a number"),
        ("vip", 1, "must be true or false"),
        ("tier", 5, "must be a text"),
        ("born", "2000-02-29", "2000-02-29"),
        ("born", "2001-02-29", "must be a date, as 2026-03-15"),
        ("born", "2000-02-29T00:00:00", "must be a date, as 2026-03-15"),
        ("seen", "2026-03-15", "2026-03-15T00:00:00.000Z"),
        ("seen", "2026-03-15T01:00:00.123456+02:00", "2026-03-14T23:00:00.123Z"),
        ("seen", "0001-01-01T00:00:00+02:00", "must be a time, as 2026-03-15T14:30:00Z"),
        ("note", {"any": ["thing"]}, {"any": ["thing"]}),
        ("x" * 101, 1, "is no name of an attribute: up to 100 characters that can be printed"),
        ("a\nb", 1, "is no name of an attribute: up to 100 characters that can be printed"),
        ("note", "x" * 10_001, "may have 10,000 characters"),
        ("note", ["x" * MAX_BYTES], "may have 65,536 bytes together"),
    ],
)
def test_values_of_json_must_have_their_types(name: str, value: Any, kept: Any):
    assert value_of(name, value) == kept


def test_defaults_are_filled_in_and_come_back_when_a_value_is_taken_away():
    assert complete(FORM, GOLD) == {"tier": "gold", "vip": False}
    assert complete(FORM, {"vip": None}, {"tier": "gold", "vip": True}) == {"tier": "gold", "vip": False}


def test_a_change_is_not_refused_for_what_was_stored_before_the_schema():
    assert complete(FORM, {"age": 1}, {"tier": 5, "born": "?"}) == {"tier": 5, "born": "?", "age": 1, "vip": False}
    assert complete(FORM, {"tier": None}, GOLD) == [Fault("tier", "is required")]


def test_only_active_schemas_count_and_one_that_refuses_others_is_enough():
    closed = CustomerSchema(id="c", key="c", name="C", fields=[SchemaField(name="n")], additional_attributes=False)
    draft = CustomerSchema(id="d", key="d", name="D", status=Status.DRAFT, additional_attributes=False)
    assert AttributeSchema.from_schemas([PEOPLE, draft]) == FORM
    assert complete(AttributeSchema.from_schemas([PEOPLE, closed]), {**GOLD, "n": "x", "shoe": 1}) == [
        Fault("shoe", "is not known; known are tier, age, vip, born, seen, n")
    ]
    assert complete(AttributeSchema.from_schemas([]), {"shoe": 1}) == {"shoe": 1}


@given(anything, anything)
def test_stored_attributes_stay_the_same_when_applied_again(before: dict[str, Any], changes: dict[str, Any]):
    kept = complete(FORM, before)
    if isinstance(kept, list):
        return
    changed = complete(FORM, changes, kept)
    for one in (kept, changed):
        if not isinstance(one, list):
            assert complete(FORM, one) == one
            assert complete(FORM, {}, one) == one
            assert None not in one.values()


@given(st.lists(anything, max_size=5), st.booleans())
def test_rows_with_faults_change_nothing_and_the_others_apply_in_order(
    changes: list[dict[str, Any]],
    replaces: bool,  # noqa: FBT001
):
    rows = [CustomerRow(number, "ann", attributes) for number, attributes in enumerate(changes)]
    done = apply_rows(FORM, None, rows, replaces=replaces)
    right = [row for row in rows if row.number not in done.faults]
    assert apply_rows(FORM, None, right, replaces=replaces) == (done.attributes, {})
    assert (done.attributes is None) == (not right)
    if replaces and right:
        assert done.attributes == complete(FORM, right[-1].attributes)
