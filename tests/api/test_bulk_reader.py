"""One reader for bodies of many rows: every format gives the same rows, and faulty ones do not affect the others."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.errors import ApiError, Fault
from api.runtime.bulk_body import MAX_VALUES
from api.runtime.bulk_reader import MAX_ITEM_BYTES, MAX_ROWS, BulkReader, make_object_reader

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson; charset=utf-8"
TABLE: Final = "text/csv"
Row = tuple[int, str]


def parse(index: int, fields: Mapping[str, Any]) -> Row | list[Fault]:
    if fields.get("customerId") == "bad":
        return [Fault(field="customerId", message="is bad"), Fault(field="body", message="is bad, too")]
    return index, str(fields["customerId"])


def read(body: bytes, content_type: str, *, pieces: Sequence[int] = (), max_bytes: int = 1 << 30) -> BulkReader[Row]:
    async def chunks() -> AsyncIterator[bytes]:
        begin = 0
        for end in sorted({*pieces, len(body)}):
            yield body[begin:end]
            begin = end

    reader = make_object_reader("customers", parse)
    asyncio.run(reader.read("acme", content_type, chunks(), max_bytes))
    return reader


def write(names: Sequence[str], content_type: str) -> bytes:
    rows = [{"customerId": name} for name in names]
    if content_type == TABLE:
        text = io.StringIO()
        table = csv.DictWriter(text, ["customerId"])
        table.writeheader()
        table.writerows(rows)
        return text.getvalue().encode()
    return json.dumps(rows).encode() if content_type == JSON else b"\n".join(json.dumps(row).encode() for row in rows)


names = st.lists(st.sampled_from(["ann", "bob", "bad", 'q"uote', "comma,", "ü"]), min_size=1, max_size=8)


@given(names=names, content_type=st.sampled_from([JSON, LINES, TABLE]), pieces=st.lists(st.integers(0, 200)))
def test_every_format_gives_the_same_rows_in_whatever_pieces_it_comes(
    names: Sequence[str], content_type: str, pieces: Sequence[int]
):
    body = write(names, content_type)
    reader = read(body, content_type, pieces=[piece for piece in pieces if piece < len(body)])
    bad = [index for index, name in enumerate(names) if name == "bad"]
    assert reader.rows == [(index, name) for index, name in enumerate(names) if name != "bad"]
    assert [fault.index for fault in reader.faults] == sorted(bad * 2)
    assert (reader.count, reader.rejected) == (len(names), len(bad))


def test_empty_lines_are_passed_over_and_a_line_that_is_no_object_is_a_fault_of_its_own():
    reader = read(b'\n \n{"customerId": "ann"}\r\n[1]\n{"customerId": 1\n\n{"customerId": "bob"}', LINES)
    assert reader.rows == [(0, "ann"), (3, "bob")]
    assert [(fault.index, fault.field) for fault in reader.faults] == [(1, "body"), (2, "body")]


def test_a_single_object_is_an_array_of_one():
    assert read(b' {"customerId": "ann"}', JSON).rows == [(0, "ann")]


def test_a_row_of_a_table_with_other_columns_is_a_fault():
    reader = read(b"customerId,tier\nann,gold\nbob\n", TABLE)
    assert reader.rows == [(0, "ann")]
    assert reader.faults == [Fault(field="body", message="has 1 columns; the header has 2", index=1)]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"[1", JSON, 400),
        (b"7", JSON, 400),
        (b"tier\ngold\n", TABLE, 400),
        (b"\xff", TABLE, 400),
        (b"<a/>", "application/xml", 415),
        (b" " * 1_001, LINES, 413),
        (b"\n" * 999, "text/plain", 415),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(body: bytes, content_type: str, status: int):
    with pytest.raises(ApiError) as refused:
        read(body, content_type, max_bytes=1_000)
    assert refused.value.status == status


@pytest.mark.parametrize("content_type", [JSON, LINES, TABLE])
def test_more_rows_than_allowed_are_refused(content_type: str):
    assert len(read(write(["ann"] * MAX_ROWS, content_type), content_type).rows) == MAX_ROWS
    with pytest.raises(ApiError, match=r"10,000 customers; send the rest") as refused:
        read(write(["ann"] * (MAX_ROWS + 1), content_type), content_type)
    assert refused.value.status == 413


@pytest.mark.parametrize("content_type", [JSON, LINES, TABLE])
def test_more_values_than_allowed_are_refused_in_whatever_rows_they_come(content_type: str):
    names = ["," * 100_000] * 4 + [""]
    names[4] = "," * (MAX_VALUES - write(names, content_type).count(b","))
    assert len(read(write(names, content_type), content_type, pieces=[100_000]).rows) == 5
    names[4] += ","
    with pytest.raises(ApiError, match=r"500,000 values; send the rest") as refused:
        read(write(names, content_type), content_type, pieces=[100_000])
    assert refused.value.status == 413


@pytest.mark.parametrize("content_type", [JSON, LINES])
def test_a_row_that_is_too_long_is_refused(content_type: str):
    with pytest.raises(ApiError) as refused:
        read(write(["x" * MAX_ITEM_BYTES], content_type), content_type)
    assert refused.value.status == 413


def test_tables_are_refused_where_they_are_not_accepted():
    async def check() -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b""

        reader = BulkReader[Row]("events", lambda index, _item: (index, ""))
        with pytest.raises(ApiError) as refused:
            await reader.read("acme", TABLE, chunks(), 100)
        assert refused.value.status == 415

    asyncio.run(check())


def test_rows_are_required_all_of_them_if_the_request_is_atomic():
    some = read(write(["ann", "bad"], JSON), JSON)
    assert some.require_rows(is_atomic=False) == [(0, "ann")]
    with pytest.raises(ApiError) as refused:
        some.require_rows(is_atomic=True)
    assert [fault.index for fault in refused.value.details] == [1, 1]
    with pytest.raises(ApiError, match="has no customers"):
        read(b"[]", JSON).require_rows(is_atomic=False)
    with pytest.raises(ApiError):
        read(write(["bad"], JSON), JSON).require_rows(is_atomic=False)


@pytest.mark.parametrize("content_type", [JSON, LINES, TABLE])
def test_others_get_their_turn_while_rows_are_read(content_type: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("api.runtime.time_slice.TURN_S", 0.0)
    turns = 0

    async def check() -> None:
        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async def chunks() -> AsyncIterator[bytes]:
            yield write(["ann"] * 100, content_type)

        other = asyncio.create_task(count_turns())
        await make_object_reader("customers", parse).read("acme", content_type, chunks(), 1 << 20)
        other.cancel()

    asyncio.run(check())
    assert turns >= 100
