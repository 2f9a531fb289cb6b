from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from rapport.embedded.supervisor.lines import LogLine, read_line
from rapport.embedded.supervisor.output import ChildOutput, LogFile, Terminal

if TYPE_CHECKING:
    from pathlib import Path


class ColourTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"plain text", LogLine("plain text", None)),
        (
            b'{"event": "flushed", "events": 3, "level": "info", "timestamp": "2025-01-01T00:00:00Z"}',
            LogLine("flushed events=3", logging.INFO),
        ),
        (
            b'{"event": "oops", "level": "error", "exception": "Traceback ...\\n  File x\\nValueError: y"}',
            LogLine("oops exception=ValueError: y", logging.ERROR),
        ),
        (b'{"offer": 1}', LogLine('{"offer": 1}', None)),
        (b'{"level": "info', LogLine('{"level": "info', None)),
        (b"\x1b[2m2026-01-01Z\x1b[0m \x1b[31mERROR\x1b[0m tansu: gone", LogLine("2026-01-01Z ERROR tansu: gone", 40)),
        (
            b"[2026-01-01 00:00:00,000] [12] [WARNING] slow",
            LogLine("[2026-01-01 00:00:00,000] [12] [WARNING] slow", 30),
        ),
        (b"Traceback (most recent call last):", LogLine("Traceback (most recent call last):", logging.ERROR)),
        (b"thread 'main' panicked at src/x.rs:1", LogLine("thread 'main' panicked at src/x.rs:1", logging.ERROR)),
        (b"\xff INFO", LogLine("\N{REPLACEMENT CHARACTER} INFO", logging.INFO)),
    ],
)
def test_a_log_line_is_rendered_and_its_level_is_read(raw: bytes, line: LogLine):
    assert read_line(raw) == line


def test_the_terminal_shows_lines_from_its_level_on_and_the_file_has_all(tmp_path: Path):
    stream = io.StringIO()
    output = _output(tmp_path, Terminal(stream, ["api"]), terminal_level=logging.WARNING)
    output.feed(b"INFO served\nERROR failed\n  because\nINFO served again\n")
    output.close()
    assert stream.getvalue().splitlines() == ["api | ERROR failed", "api |   because"]
    assert (tmp_path / "api.log").read_text() == "INFO served\nERROR failed\n  because\nINFO served again\n"


def test_lines_may_come_in_pieces_without_an_end_or_be_endless(tmp_path: Path):
    output = _output(tmp_path, None)
    for piece in (b"on", b"e\ntw", b"o\nthree"):
        output.feed(piece)
    output.flush()
    output.feed(b"x" * 100_000)
    output.close()
    assert (tmp_path / "api.log").read_bytes().split(b"\n") == [b"one", b"two", b"three", b"x" * 100_000, b""]


def test_the_tail_is_the_last_lines(tmp_path: Path):
    output = _output(tmp_path, None)
    assert output.tail() == f"Last lines of {tmp_path}/api.log:\n    (nothing was written)"
    output.feed(b"".join(b"%d\n" % number for number in range(100)))
    output.close()
    assert output.tail().splitlines()[1:] == [f"    {number}" for number in range(80, 100)]


def test_names_have_colours_on_a_terminal_only():
    colourful, plain = ColourTerminal(), io.StringIO()
    for stream in (colourful, plain):
        terminal = Terminal(stream, ["api", "worker"])
        terminal.show("api", "x")
        terminal.show("worker", "y")
    assert colourful.getvalue() == "\x1b[36mapi    |\x1b[0m x\n\x1b[33mworker |\x1b[0m y\n"
    assert plain.getvalue() == "api    | x\nworker | y\n"


def test_a_closed_terminal_stops_no_output(tmp_path: Path):
    stream = io.StringIO()
    output = _output(tmp_path, Terminal(stream, ["api"]))
    stream.close()
    output.feed(b"one\ntwo\n")
    output.close()
    assert (tmp_path / "api.log").read_text() == "one\ntwo\n"


def test_a_log_file_that_has_grown_too_large_is_rotated(tmp_path: Path):
    log = LogFile(tmp_path / "api.log", limit_bytes=10)
    for line in (b"first", b"second", b"third"):
        log.write(line)
    log.close()
    assert (tmp_path / "api.log").read_text() == "third\n"
    assert (tmp_path / "api.log.1").read_text() == "second\n"


def _output(directory: Path, terminal: Terminal | None, *, terminal_level: int = logging.INFO) -> ChildOutput:
    return ChildOutput("api", LogFile(directory / "api.log"), terminal, terminal_level=terminal_level)
