from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.embedded.clickhouse.engine_errors import EngineError
from rapport.embedded.clickhouse.statements import DataInsert, Statement, parse


@pytest.mark.parametrize(
    ("text", "header", "input_format", "data"),
    [
        (b"INSERT INTO t FORMAT TSV\n1\n", b"INSERT INTO t ", "TSV", b"1\n"),
        (b"INSERT INTO t FORMAT TSV \r\n1\n", b"INSERT INTO t ", "TSV", b"1\n"),
        (b"INSERT INTO t FORMAT RowBinary\n\n\n", b"INSERT INTO t ", "RowBinary", b"\n\n"),
        (b"insert into t(`format`, values) Format CSV 1", b"insert into t(`format`, values) ", "CSV", b"1"),
        (b"INSERT INTO t VALUES (1)", b"INSERT INTO t ", "Values", b" (1)"),
        (b"INSERT INTO values VALUES (1)", b"INSERT INTO values ", "Values", b" (1)"),
        (b"INSERT INTO format.values FORMAT CSV\n", b"INSERT INTO format.values ", "CSV", b""),
        (b"INSERT INTO t SETTINGS a = 'VALUES' FORMAT CSV\n1", b"INSERT INTO t SETTINGS a = 'VALUES' ", "CSV", b"1"),
        (b"/* INSERT */ INSERT INTO t -- VALUES\nVALUES", b"/* INSERT */ INSERT INTO t -- VALUES\n", "Values", b""),
        (b"INSERT INTO FUNCTION null('a Int8') FORMAT CSV\n1", b"INSERT INTO FUNCTION null('a Int8') ", "CSV", b"1"),
        (b"WITH 1 AS x INSERT INTO t FORMAT CSV\n1", b"WITH 1 AS x INSERT INTO t ", "CSV", b"1"),
        (b"INSERT INTO TABLE t (* EXCEPT (a)) VALUES(1)", b"INSERT INTO TABLE t (* EXCEPT (a)) ", "Values", b"(1)"),
    ],
)
def test_the_data_of_an_insert_is_found(text: bytes, header: bytes, input_format: str, data: bytes):
    found = parse(text)
    assert isinstance(found, DataInsert)
    assert (found.target + found.settings, found.input_format, text[found.data_at :]) == (header, input_format, data)


def test_the_settings_of_an_insert_follow_the_file_that_it_reads():
    found = parse(b"INSERT INTO settings.settings (a) SETTINGS a = 1 FORMAT `CSV`\n1")
    assert isinstance(found, DataInsert)
    assert found.make_file_insert("/a'b") == (
        b"INSERT INTO settings.settings (a)  FROM INFILE '/a\\'b' COMPRESSION 'none' SETTINGS a = 1  FORMAT `CSV`"
    )


@given(st.binary())
def test_the_data_of_an_insert_is_not_parsed(data: bytes):
    text = b"INSERT INTO t FORMAT Native\n"
    found = parse(text + data)
    assert isinstance(found, DataInsert)
    assert found.data_at == len(text)


@pytest.mark.parametrize(
    ("text", "verb", "output_format"),
    [
        (b"SELECT 1", b"SELECT", None),
        (b"select 1 format JSON;", b"SELECT", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS a = 1", b"SELECT", "JSON"),
        (b"SELECT 1 SETTINGS a = 1 FORMAT JSON ; ;", b"SELECT", "JSON"),
        (b"SELECT format FROM t", b"SELECT", None),
        (b"SELECT format('{}', a) AS format SETTINGS a = 1", b"SELECT", None),
        (b"SELECT 'x FORMAT CSV'", b"SELECT", None),
        (b"SELECT 'it''s \\' FORMAT CSV' FORMAT TSV", b"SELECT", "TSV"),
        (b"SELECT $a$ ' FORMAT CSV $a$ FORMAT TSV", b"SELECT", "TSV"),
        (b'SELECT "FORMAT CSV" FORMAT TSV', b"SELECT", "TSV"),
        (b"SELECT 1 -- FORMAT CSV\n", b"SELECT", None),
        (b"SELECT 1 #! FORMAT CSV", b"SELECT", None),
        (b"SELECT (SELECT 1 FORMAT CSV)", b"SELECT", None),
        (b"( (/* a */ SELECT 1)) FORMAT XML", b"SELECT", "XML"),
        (b"SELECT format, json", b"SELECT", None),
        (b"WITH 1 AS a INSERT INTO t SELECT a", b"INSERT", None),
        (b"INSERT INTO t SELECT 1 FORMAT CSV", b"INSERT", None),
        (b"INSERT INTO t SELECT 'input('", b"INSERT", None),
        (b"INSERT INTO t (a) WITH 1 AS x SELECT x", b"INSERT", None),
        (b"SHOW TABLES FORMAT CSV", b"SHOW", "CSV"),
        (b"CREATE TABLE t (a String DEFAULT ';') ENGINE = Memory", b"CREATE", None),
    ],
)
def test_the_format_of_a_result_is_found(text: bytes, verb: bytes, output_format: str | None):
    assert parse(text) == Statement(verb, output_format)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", 62),
        (b" -- nothing\n", 62),
        (b";", 62),
        (b"SELECT 1; SELECT 2", 62),
        (b"SELECT 1 INTO OUTFILE 'x'", 358),
        (b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", 78),
        (b"INSERT INTO t SELECT * FROM input('a Int8') FORMAT CSV 1", 48),
        (b"INSERT INTO t SELECT * FROM (SELECT * FROM input ('a Int8'))", 48),
    ],
)
def test_statements_that_a_server_refuses_are_refused(text: bytes, code: int):
    with pytest.raises(EngineError) as caught:
        parse(text)
    assert caught.value.code == code


@given(st.binary(max_size=200))
def test_every_text_is_parsed_or_refused(text: bytes):
    with contextlib.suppress(EngineError):
        assert parse(text)
