"""Readers of NDJSON, CSV and Parquet files, in chunks, for files of any size."""

from __future__ import annotations

import codecs
import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, NamedTuple

import msgspec
import polars as pl

from rapport.application.imports.cells import CellConverter, from_json, from_text, from_value
from rapport.application.imports.csv_records import find_header_fault, read_records
from rapport.application.imports.feeds import CHUNK_EVENTS, Chunk, Feed, LineFault
from rapport.application.imports.row_mapper import ColumnMapping, RowMapper
from rapport.domain.events import decode_event, split_items
from rapport.domain.rejections import Rejection

if TYPE_CHECKING:
    from pathlib import Path

FileFormat = Literal["ndjson", "csv", "parquet"]

FORMATS_BY_SUFFIX: Final[dict[str, FileFormat]] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
MAX_LINE_BYTES: Final = 1 << 20
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class FileFaultError(ValueError):
    """A file that cannot be read in the format it is said to have."""


class FileRow(NamedTuple):
    """A line of a text file, or a row of a table.

    Attributes:
        number: Counts from 1; of a record over several lines, the first.
        cells: By column: texts of a CSV file, JSON of an NDJSON file, typed values of a Parquet file.
    """

    number: int
    cells: dict[str, Any]


_Rows = Iterator[FileRow | LineFault]


@dataclass(frozen=True, slots=True)
class RowChunk:
    """A part of a table.

    Attributes:
        rows: In the order of the file.
        position: Part of the table's size that has been read up to the end of this chunk.
    """

    rows: Sequence[FileRow | LineFault]
    position: int


@dataclass(frozen=True, slots=True)
class Table:
    """A file as rows.

    Attributes:
        name: Shown to people.
        kind: Format of the file.
        size: In the unit of the chunks' positions: bytes of a text file, rows of a Parquet file.
        columns: None where each row has its own.
        chunks: Read lazily; a table can be read once.
    """

    name: str
    kind: FileFormat
    size: int
    columns: Sequence[str] | None
    chunks: Iterator[RowChunk]


def open_file(
    path: Path,
    mapping: ColumnMapping,
    *,
    now_ms: int,
    file_format: FileFormat | None = None,
    delimiter: str | None = None,
) -> Feed:
    """Open a file of events.

    Args:
        path: The file.
        mapping: Maps its columns to fields.
        now_ms: Epoch milliseconds; timestamps may not lie far ahead of it.
        file_format: Format; by default derived from the file's name.
        delimiter: Between the columns of a CSV file; by default a comma, or a tab in ``.tsv``.

    Raises:
        FileFaultError: The file does not have the format.
        MappingError: The file lacks columns of the mapping.
        OSError: The file cannot be opened.
    """
    table = open_table(path, file_format=file_format, delimiter=delimiter)
    if table.columns is not None:
        mapping.check_columns(table.columns)
    convert = _CONVERTERS[table.kind]
    mapper = RowMapper(mapping, table.name, convert, now_ms=now_ms, converts_unmapped=table.kind != "ndjson")
    return Feed(table.name, table.size, _map_rows(table, mapper))


def open_table(path: Path, *, file_format: FileFormat | None = None, delimiter: str | None = None) -> Table:
    """Open a file of any rows.

    Args:
        path: The file.
        file_format: Format; by default derived from the file's name.
        delimiter: Between the columns of a CSV file; by default a comma, or a tab in ``.tsv``.

    Raises:
        FileFaultError: The file does not have the format.
        OSError: The file cannot be opened.
    """
    kind = file_format or FORMATS_BY_SUFFIX.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(FORMATS_BY_SUFFIX)
        raise FileFaultError(f"{path.name}: the name does not tell the format ({known}); say it with --format")
    name = path.name.encode(errors="surrogateescape").decode(errors="replace")
    if kind == "parquet":
        return _open_parquet(path, name)
    _require_utf_8(path)
    size = path.stat().st_size
    if kind == "ndjson":
        return Table(name, kind, size, None, _read_text_chunks(path, size, _read_ndjson))
    separator = delimiter or ("\t" if path.suffix.lower() == ".tsv" else ",")
    header = _read_header(path, separator)
    rows = partial(_read_csv, separator=separator, header=header)
    return Table(name, kind, size, header, _read_text_chunks(path, size, rows))


def _map_rows(table: Table, mapper: RowMapper) -> Iterator[Chunk]:
    for chunk in table.chunks:
        entries = [row if isinstance(row, LineFault) else mapper.prepare(row.number, row.cells) for row in chunk.rows]
        yield Chunk(entries, chunk.position)


def _read_text_chunks(path: Path, size: int, read: Callable[[BinaryIO], _Rows]) -> Iterator[RowChunk]:
    with path.open("rb") as file:
        rows = read(file)
        while piece := list(itertools.islice(rows, CHUNK_EVENTS)):
            yield RowChunk(piece, min(file.tell(), size) if len(piece) == CHUNK_EVENTS else size)


def _read_ndjson(file: BinaryIO) -> _Rows:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE_BYTES)
            yield LineFault(number, "too_large", f"The line has more than {MAX_LINE_BYTES} bytes.")
            continue
        text = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
        if text:
            yield _read_object(number, text)


def _read_object(number: int, text: bytes) -> FileRow | LineFault:
    items = split_items(text)
    if isinstance(items, Rejection):
        return LineFault(number, items.code, items.detail)
    if text[:1] == b"[":
        return LineFault(number, "not_an_object", "Each line must be one JSON object, not an array.")
    try:
        return FileRow(number, _decode_fields(text))
    except (msgspec.DecodeError, RecursionError):
        why = decode_event(text)
    detail = why.detail if isinstance(why, Rejection) else "The line is not a JSON object."
    return LineFault(number, why.code if isinstance(why, Rejection) else "bad_json", detail)


def _require_utf_8(path: Path) -> None:
    with path.open("rb") as file:
        beginning = file.read(4)
    if b"\0" in beginning or beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileFaultError(
            f"{path.name} is UTF-16 or UTF-32; save it as UTF-8 (`iconv -f UTF-16 -t UTF-8`, in Excel: CSV UTF-8)"
        )


def _read_header(path: Path, separator: str) -> list[str]:
    with path.open("rb") as file, _decode(file) as text:
        first = next(read_records(text, separator), None)
    if isinstance(first, LineFault):
        raise FileFaultError(f"{path.name}: the first line is no header: {first.detail}")
    header = first.cells if first and first.number == 1 else []
    if fault := find_header_fault(header):
        raise FileFaultError(f"{path.name}: {fault}")
    return header


def _read_csv(file: BinaryIO, separator: str, header: list[str]) -> _Rows:
    with _decode(file) as text:
        for record in itertools.islice(read_records(text, separator), 1, None):  # after the header
            if isinstance(record, LineFault):
                yield record
            elif len(record.cells) == len(header):
                yield FileRow(record.number, dict(zip(header, record.cells, strict=True)))
            else:
                detail = f"The line has {len(record.cells)} columns; the header has {len(header)}."
                yield LineFault(record.number, "wrong_column_count", detail)


def _decode(file: BinaryIO) -> io.TextIOWrapper:
    """Open as text; invalid bytes are kept as surrogates, so that the line that holds them can be reported."""
    return io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")


def _open_parquet(path: Path, name: str) -> Table:
    try:
        table = pl.scan_parquet(path)
        columns = table.collect_schema().names()
        size = int(table.select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise FileFaultError(f"{path.name} is no Parquet file: {error}") from error
    return Table(name, "parquet", size, columns, _read_table_chunks(table))


def _read_table_chunks(table: pl.LazyFrame) -> Iterator[RowChunk]:
    position = 0
    for frame in table.collect_batches(chunk_size=CHUNK_EVENTS, maintain_order=True, lazy=True):
        rows = [FileRow(number, row) for number, row in enumerate(frame.iter_rows(named=True), position + 1)]
        position += frame.height
        yield RowChunk(rows, position)


_CONVERTERS: Final[Mapping[FileFormat, CellConverter]] = {
    "ndjson": from_json,
    "csv": from_text,
    "parquet": from_value,
}
