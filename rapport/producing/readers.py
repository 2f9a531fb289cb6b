"""Reads NDJSON, CSV and Parquet files piece by piece, so that their size does not matter."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, NamedTuple

import msgspec
import polars as pl

from rapport.domain.events import decode_event, split_items
from rapport.domain.rejections import Rejection
from rapport.producing.cells import from_json, from_text, from_value
from rapport.producing.feeds import CHUNK_EVENTS, BadLine, Chunk, Feed
from rapport.producing.mapping import ColumnMapping, RowMapper

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
    """A file that cannot be read as what it is said to be."""


class _Row(NamedTuple):
    number: int
    cells: dict[str, Any]


_Rows = Iterator[_Row | BadLine]


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
        mapping: How its columns become fields.
        now_ms: Epoch milliseconds; timestamps may not lie far ahead of it.
        file_format: What it is; by default what its name says.
        delimiter: Between the columns of a CSV file; by default a comma, or a tab in ``.tsv``.

    Raises:
        FileFaultError: It is not what it is said to be.
        MappingError: It has not the columns it should.
        OSError: It cannot be opened.
    """
    kind = file_format or FORMATS_BY_SUFFIX.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(FORMATS_BY_SUFFIX)
        raise FileFaultError(f"{path.name}: the name does not tell the format ({known}); say it with --format")
    name = path.name.encode(errors="surrogateescape").decode(errors="replace")
    if kind == "parquet":
        return _open_parquet(path, name, mapping, now_ms)
    size = path.stat().st_size
    if kind == "ndjson":
        mapper = RowMapper(mapping, name, from_json, now_ms=now_ms, converts_unmapped=False)
        return Feed(name, size, _chunks_of_text(path, size, _read_ndjson, mapper))
    separator = delimiter or ("\t" if path.suffix.lower() == ".tsv" else ",")
    header = _read_header(path, separator)
    mapping.check_columns(header)
    rows = partial(_read_csv, separator=separator, header=header)
    return Feed(name, size, _chunks_of_text(path, size, rows, RowMapper(mapping, name, from_text, now_ms=now_ms)))


def _chunks_of_text(path: Path, size: int, read: Callable[[BinaryIO], _Rows], mapper: RowMapper) -> Iterator[Chunk]:
    with path.open("rb") as file:
        rows = read(file)
        while piece := list(itertools.islice(rows, CHUNK_EVENTS)):
            entries = [row if isinstance(row, BadLine) else mapper.prepare(row.number, row.cells) for row in piece]
            yield Chunk(entries, min(file.tell(), size) if len(piece) == CHUNK_EVENTS else size)


def _read_ndjson(file: BinaryIO) -> _Rows:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE_BYTES)
            yield BadLine(number, "too_large", f"The line has more than {MAX_LINE_BYTES} bytes.")
            continue
        text = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
        if text:
            yield _read_object(number, text)


def _read_object(number: int, text: bytes) -> _Row | BadLine:
    items = split_items(text)
    if isinstance(items, Rejection):
        return BadLine(number, items.code, items.detail)
    if text[:1] == b"[":
        return BadLine(number, "not_an_object", "Each line must be one JSON object, not an array.")
    try:
        return _Row(number, _decode_fields(text))
    except msgspec.DecodeError:
        why = decode_event(text)
    detail = why.detail if isinstance(why, Rejection) else "The line is not a JSON object."
    return BadLine(number, why.code if isinstance(why, Rejection) else "bad_json", detail)


def _read_header(path: Path, separator: str) -> list[str]:
    with path.open("rb") as file, _decode(file) as text:
        try:
            header = next(csv.reader(text, delimiter=separator), [])
        except csv.Error as error:
            raise FileFaultError(f"{path.name}: the first line is no header: {error}") from error
    if not any(header):
        raise FileFaultError(f"{path.name} has no header: its first line must name the columns")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise FileFaultError(f"{path.name}: the header names {', '.join(twice)} twice")
    return header


def _read_csv(file: BinaryIO, separator: str, header: list[str]) -> _Rows:
    with _decode(file) as text:
        lines = csv.reader(text, delimiter=separator)
        next(lines)  # the header
        while True:
            number = lines.line_num + 1
            try:
                cells = next(lines)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadLine(number, "bad_csv", f"The line is no CSV: {error}.")
                continue
            if len(cells) == len(header):
                yield _Row(number, dict(zip(header, cells, strict=True)))
            elif cells:
                detail = f"The line has {len(cells)} columns; the header has {len(header)}."
                yield BadLine(number, "wrong_column_count", detail)


def _decode(file: BinaryIO) -> io.TextIOWrapper:
    """Read text whose wrong bytes are kept, so that the line that holds them can be told."""
    return io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")


def _open_parquet(path: Path, name: str, mapping: ColumnMapping, now_ms: int) -> Feed:
    try:
        table = pl.scan_parquet(path)
        columns = table.collect_schema().names()
        size = int(table.select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise FileFaultError(f"{path.name} is no Parquet file: {error}") from error
    mapping.check_columns(columns)
    mapper = RowMapper(mapping, name, from_value, now_ms=now_ms)
    return Feed(name, size, _chunks_of_table(table, mapper))


def _chunks_of_table(table: pl.LazyFrame, mapper: RowMapper) -> Iterator[Chunk]:
    position = 0
    for frame in table.collect_batches(chunk_size=CHUNK_EVENTS, maintain_order=True, lazy=True):
        rows = enumerate(frame.iter_rows(named=True), position + 1)
        entries = [mapper.prepare(number, row) for number, row in rows]
        position += frame.height
        yield Chunk(entries, position)
