"""Stored and foreign text on a terminal: every command shows it without its control sequences."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from rapport.cli.main import cli
from rapport.domain.api_keys import Role
from rapport.storage.api_keys import create_key
from rapport.storage.client import connect
from rapport.storage.migrations import migrate
from rapport.storage.tenants import create_tenant
from rapport.terminal import echo_row, make_console, visible
from tests.fixtures.store import make_database_settings

if TYPE_CHECKING:
    from pathlib import Path

EVIL: Final = "[/x][bold]:smile: \x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\x08\r\u200b\x00"
SHOWN: Final = "[/x][bold]:smile: \\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\u202egnp.exe\\u2066\\x08\\r\\u200b\\x00"


@given(st.text())
def test_shown_text_holds_no_control_sequences(text: str):
    shown = visible(text)
    assert all(one.isprintable() or one in "\n\t" for one in shown)
    assert visible(shown) == shown
    assert "".join(one for one in text if one.isprintable()) == text or shown != text or set(text) & set("\n\t")


def test_plain_texts_of_any_script_stay_as_they_are():
    for text in ("Zoë 雪 مرحبا\n\tline", "", "50%", "a\\b"):
        assert visible(text) == text


def test_cells_cannot_add_cells_or_lines(capsys: pytest.CaptureFixture[str]):
    echo_row("a\tb", "c\nd", "e")
    assert capsys.readouterr().out == "a\\tb\tc\\nd\te\n"


def test_a_console_shows_what_it_is_given(capsys: pytest.CaptureFixture[str]):
    make_console(soft_wrap=True).print(EVIL)
    assert capsys.readouterr().out == SHOWN + "\n"


@pytest.mark.parametrize(
    "command",
    [
        ("dead-letters", "list"),
        ("dead-letters", "show", "letter-1"),
        ("key", "list", "t1"),
        ("tenant", "list"),
        ("status",),
    ],
)
def test_commands_show_stored_text_without_control_sequences(
    clickhouse_url: str, database: str, command: tuple[str, ...]
):
    settings = make_database_settings(clickhouse_url, database)
    migrate(settings)
    with closing(connect(settings)) as store:
        create_tenant(store, "t1", name=EVIL)
        create_key(store, "t1", Role.VIEWER, "p" * 20, 1_700_000_000_000, name=EVIL)
        letter = {"id": "letter-1", "tenant_id": EVIL, "code": "bad_json", "detail": EVIL, "topic": "interactions"}
        letter |= {"key": EVIL.encode(), "value": EVIL.encode() + b"\xff", "received_at": datetime.now(UTC)}
        store.insert("dead_letter_state", pl.DataFrame([letter]))
    env = {"CLICKHOUSE_URL": settings.url, "CLICKHOUSE_DATABASE": settings.database, "KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    result = CliRunner().invoke(cli, command, env=env)
    assert result.exit_code == 0, result.output
    assert all(one.isprintable() or one in "\n\t" for one in result.output)
    if command == ("dead-letters", "list"):  # a table breaks its cells
        assert "[/x]" in result.output
    elif command != ("status",):
        assert SHOWN in result.output


def test_bad_lines_of_a_file_are_shown_without_control_sequences(clickhouse_url: str, database: str, tmp_path: Path):
    settings = make_database_settings(clickhouse_url, database)
    migrate(settings)
    with closing(connect(settings)) as store:
        create_tenant(store, "t1")
    file = tmp_path / "e\x1bvil.csv"
    file.write_text(f"customerId,{EVIL.encode('unicode_escape').decode()}\n,x\na,b,c\n", "utf-8")
    env = {"CLICKHOUSE_URL": settings.url, "CLICKHOUSE_DATABASE": settings.database}
    result = CliRunner().invoke(cli, ["customers", "load", str(file), "--tenant", "t1"], env=env)
    assert result.exit_code == 1
    assert "e\\x1bvil.csv" in result.output
    assert "2 bad lines" in result.output
    assert all(one.isprintable() or one in "\n\t" for one in result.output)
