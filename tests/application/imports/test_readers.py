"""Files are read in chunks; a fault has the number of its line and affects no other line."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from rapport.application.imports.feeds import CHUNK_EVENTS, LineFault, Message
from rapport.application.imports.readers import MAX_LINE_BYTES, FileFaultError, FileFormat, open_file
from rapport.application.imports.row_mapper import ColumnMapping, MappingError

if TYPE_CHECKING:
    from pathlib import Path

NOW_MS = 1_750_000_000_000
HEADER = "tenantId,customerId,outcome,offerId"


def read(path: Path, **options: Any) -> list[Message | LineFault]:
    mapping = ColumnMapping(columns=options.pop("columns", {}), constants=options.pop("constants", {}))
    return [entry for chunk in open_file(path, mapping, now_ms=NOW_MS, **options).chunks for entry in chunk.entries]


def summary(entries: list[Message | LineFault]) -> list[Any]:
    """Return the idempotency keys of valid lines and (number, code) of faulty ones."""
    return [
        (entry.number, entry.code) if isinstance(entry, LineFault) else json.loads(entry.value)["idempotencyKey"]
        for entry in entries
    ]


def write(path: Path, *lines: str | bytes, end: bytes = b"\n") -> Path:
    path.write_bytes(end.join(line.encode() if isinstance(line, str) else line for line in lines))
    return path


def ndjson(customer: str, **more: object) -> str:
    return json.dumps({"tenantId": "t", "customerId": customer, "outcome": "click", **more})


def test_ndjson_lines_have_their_line_numbers(tmp_path: Path):
    path = write(
        tmp_path / "e.ndjson",
        b"\xef\xbb\xbf" + ndjson("a").encode(),
        "",
        "{",
        ndjson("b", idempotencyKey="own"),
        b'{"a":"\xff"}',
        "[]",
        "7",
        "x" * (MAX_LINE_BYTES + 1),
        ndjson("c"),
    )
    assert summary(read(path)) == [
        "e.ndjson:1",
        (3, "bad_json"),
        "own",
        (5, "bad_utf8"),
        (6, "not_an_object"),
        (7, "not_an_object"),
        (8, "too_large"),
        "e.ndjson:9",
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_csv_records_are_numbered_by_their_first_line(tmp_path: Path, end: bytes):
    path = write(
        tmp_path / "e.csv",
        HEADER,
        "t,a,click,o",
        't,b,click,"two',
        'lines, one ""record"""',
        "",
        "t,c,click",
        ",d,click,o",
        b"t,\xff,click,o",
        "t,e,click,o",
        end=end,
    )
    entries = read(path)
    assert summary(entries) == [
        "e.csv:2",
        "e.csv:3",
        (6, "wrong_column_count"),
        (7, "missing_field"),
        (8, "bad_utf8"),
        "e.csv:9",
    ]
    assert isinstance(entries[1], Message)
    assert json.loads(entries[1].value)["offerId"] == f'two{end.decode()}lines, one "record"'


@pytest.mark.parametrize("at_end", [True, False], ids=["closed by nothing", "closed by a later quote"])
def test_an_unclosed_quote_makes_only_its_own_line_faulty(tmp_path: Path, *, at_end: bool):
    """FastCSV#173: one quote that nothing closes swallowed the rest of the file."""
    lines = [f"t,c{number},click,o" for number in range(20_000)]
    later = [] if at_end else ['t,z,click,"fine"']
    path = write(tmp_path / "e.csv", HEADER, 't,x,click,"great service', *lines, *later)
    bad, *good = read(path)
    assert isinstance(bad, LineFault)
    assert (bad.number, bad.code) == (2, "bad_csv")
    assert "Column 4 begins with a quote that is not closed" in bad.detail
    assert [entry for entry in good if isinstance(entry, LineFault)] == []
    assert len(good) == 20_000 + len(later)


def test_a_quote_escaped_with_a_backslash_is_a_line_fault(tmp_path: Path):
    path = write(tmp_path / "e.csv", HEADER, 't,x,click,"say \\"hi\\" now"', "t,y,click,o", 't,z,click,"a\\"')
    bad, *good = read(path)
    assert isinstance(bad, LineFault)
    assert bad.detail == "Column 4 has text behind its closing quote; a quote within a value is written twice."
    assert summary(good) == ["e.csv:3", "e.csv:4"]


def test_quotes_within_unquoted_values_are_kept(tmp_path: Path):
    (entry,) = read(write(tmp_path / "e.csv", HEADER, 't,x,click,5" pipe'))
    assert isinstance(entry, Message)
    assert json.loads(entry.value)["offerId"] == '5" pipe'


def test_delimiters(tmp_path: Path):
    semicolon = write(tmp_path / "e.csv", "tenantId;customerId;outcome", "t;a;click")
    tab = write(tmp_path / "e.tsv", "tenantId\tcustomerId\toutcome", "t\ta\tclick")
    assert summary(read(semicolon, delimiter=";")) == ["e.csv:2"]
    assert summary(read(tab)) == ["e.tsv:2"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((), "no header"),
        (("a,b,a", "1,2,3"), "names a twice"),
        (("", "x"), "no header"),
        (("a,,b, ", "1,2,3,4"), "no name to columns 2, 4 of 4"),
        ((",a,b", "1,2,3"), "no name to column 1 of 3"),
        ((",,", "1,2,3"), "no header"),
    ],
)
def test_a_csv_file_needs_a_header(tmp_path: Path, lines: tuple[str, ...], says: str):
    with pytest.raises(FileFaultError, match=says):
        read(write(tmp_path / "e.csv", *lines))


def test_parquet_rows_keep_their_types(tmp_path: Path):
    path = tmp_path / "e.parquet"
    noon = dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)
    pl.DataFrame(
        {
            "customer": [1, 2, 3],
            "timestamp": [noon, None, noon],
            "conversionValue": [Decimal("1.10"), None, Decimal("-1e9") - 1],
            "nested": [{"a": [1]}, None, None],
        }
    ).write_parquet(path)
    entries = read(path, columns={"customerId": "customer"}, constants={"tenantId": "t", "outcome": "convert"})
    assert summary(entries) == ["e.parquet:1", "e.parquet:2", (3, "invalid_value")]
    assert isinstance(entries[0], Message)
    assert json.loads(entries[0].value) == {
        "tenantId": "t",
        "customerId": "1",
        "outcome": "convert",
        "idempotencyKey": "e.parquet:1",
        "timestamp": "2024-01-02T12:00:00Z",
        "conversionValue": 1.1,
        "metadata": {"nested": {"a": [1]}},
    }


def test_a_file_of_another_format_than_said_is_refused(tmp_path: Path):
    path = write(tmp_path / "e.parquet", "no")
    with pytest.raises(FileFaultError, match="is no Parquet file"):
        read(path)
    with pytest.raises(FileFaultError, match="--format"):
        read(write(tmp_path / "e.txt", ndjson("a")))
    assert summary(read(tmp_path / "e.txt", file_format="ndjson")) == ["e.txt:1"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_missing_column_is_named_before_anything_is_read(tmp_path: Path, kind: FileFormat):
    path = tmp_path / f"e.{kind}"
    frame = pl.DataFrame({"a": [1]})
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    with pytest.raises(MappingError, match="no column cust; it has a"):
        read(path, columns={"customerId": "cust"})


@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet"])
def test_a_file_is_read_in_chunks_with_their_positions(tmp_path: Path, kind: FileFormat):
    rows = 2 * CHUNK_EVENTS + 1
    frame = pl.DataFrame({"tenantId": ["t"] * rows, "customerId": [f"c{n}" for n in range(rows)], "outcome": "click"})
    path = tmp_path / f"e.{kind}"
    {"ndjson": frame.write_ndjson, "csv": frame.write_csv, "parquet": frame.write_parquet}[kind](path)
    feed = open_file(path, ColumnMapping(columns={}, constants={}), now_ms=NOW_MS)
    chunks = list(feed.chunks)
    positions = [chunk.position for chunk in chunks]
    assert positions == sorted(positions)
    assert positions[-1] == feed.size
    assert max(len(chunk.entries) for chunk in chunks) <= CHUNK_EVENTS
    customers = [json.loads(entry.value)["customerId"] for chunk in chunks for entry in chunk.entries if entry.key]  # type: ignore[union-attr]
    assert customers == frame["customerId"].to_list()


def test_reading_is_lazy(tmp_path: Path):
    path = write(tmp_path / "e.ndjson", *(ndjson(str(n)) for n in range(3 * CHUNK_EVENTS)))
    feed = open_file(path, ColumnMapping(columns={}, constants={}), now_ms=NOW_MS)
    first = next(feed.chunks)
    assert len(first.entries) == CHUNK_EVENTS
    assert first.position < feed.size


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["events.csv", "events.ndjson"])
def test_a_file_in_utf_16_is_refused_with_advice(tmp_path: Path, name: str, encoding: str):
    path = tmp_path / name
    path.write_text(f"{HEADER}\n" if name.endswith("csv") else '{"customerId": "c"}\n', encoding)
    with pytest.raises(FileFaultError, match="save it as UTF-8"):
        read(path)


@pytest.mark.parametrize("name", ["events.csv", "events.ndjson"])
def test_a_byte_order_mark_loses_no_row_and_renames_no_column(tmp_path: Path, name: str):
    rows = {"tenantId": "t", "customerId": "c", "outcome": "click", "offerId": "o", "idempotencyKey": "k"}
    text = f"{','.join(rows)}\n{','.join(rows.values())}\n" if name.endswith("csv") else json.dumps(rows)
    assert summary(read(write(tmp_path / name, b"\xef\xbb\xbf" + text.encode()))) == ["k"]
