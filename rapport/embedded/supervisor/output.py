"""Output of child processes: a log file each, the last lines in memory, and the terminal."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from rapport.embedded.supervisor.lines import read_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOG_LIMIT_BYTES = 10 * 1024 * 1024
TAIL_LINES = 20
LONGEST_LINE_BYTES = 64 * 1024

_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95)
_RESET = "\x1b[0m"


class Terminal:
    """Terminal that shows prefixed lines, `name | text`, in a colour per name where the stream is a terminal."""

    def __init__(self, stream: TextIO, names: Sequence[str], *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        width = max(map(len, names), default=0)
        self._prefixes = {name: f"{name:<{width}} |" for name in names}
        if stream.isatty():
            coloured = zip(self._prefixes.items(), _cycle(len(names)), strict=True)
            self._prefixes = {name: f"\x1b[{colour}m{prefix}{_RESET}" for (name, prefix), colour in coloured}

    def show(self, name: str, text: str) -> None:
        """Write a line; once the terminal is gone, do nothing."""
        if self._quiet:
            return
        try:
            self._stream.write(f"{self._prefixes[name]} {text}\n")
            self._stream.flush()
        except (OSError, ValueError):  # closed, or a pipe without a reader: the log files remain
            self._quiet = True


class LogFile:
    """A log file that is moved to `<name>.1` when it has grown too large, so that two of them bound the space."""

    def __init__(self, path: Path, *, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
        self.path = path
        self._limit_bytes = limit_bytes
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.chmod(0o700)
        self._file = path.open("ab", buffering=0)

    def write(self, line: bytes) -> None:
        """Append one line. A full disk (or a closed file) loses lines rather than blocking the child."""
        with suppress(OSError, ValueError):
            if self._file.tell() + len(line) >= self._limit_bytes:
                self._file.close()
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
                self._file = self.path.open("ab", buffering=0)
            self._file.write(line + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ChildOutput:
    """Output of one child: `feed` it bytes as they come.

    A line that names no level has the level of the line before it (so a traceback stays with its error), or INFO.
    """

    def __init__(self, name: str, log: LogFile, terminal: Terminal | None, *, terminal_level: int) -> None:
        self._name = name
        self._log = log
        self._terminal = terminal
        self._terminal_level = terminal_level
        self._level = logging.INFO
        self._partial = b""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    @property
    def log_path(self) -> Path:
        """The log file."""
        return self._log.path

    def feed(self, chunk: bytes) -> None:
        """Take some bytes; write out whole lines at once."""
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        for line in lines:
            self._put(line)
        if len(self._partial) > LONGEST_LINE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write out an unfinished line, at the end of a process."""
        if self._partial:
            self._put(self._partial)
            self._partial = b""

    def tail(self) -> str:
        """Return the last lines, indented, under the name of the file."""
        lines = "".join(f"\n    {line}" for line in self._tail) or "\n    (nothing was written)"
        return f"Last lines of {self._log.path}:{lines}"

    def close(self) -> None:
        """Write out the remaining bytes and close the file."""
        self.flush()
        self._log.close()

    def _put(self, raw: bytes) -> None:
        self._log.write(raw)
        line = read_line(raw)
        self._tail.append(line.text)
        self._level = self._level if line.level is None else line.level
        if self._terminal is not None and self._level >= self._terminal_level:
            self._terminal.show(self._name, line.text)


def _cycle(count: int) -> list[int]:
    return [_COLOURS[index % len(_COLOURS)] for index in range(count)]
