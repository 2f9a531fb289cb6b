"""Spool for the data of an INSERT, which the engine reads once it is complete.

chDB has three ways to take data. Its streaming inserter does not report failures of writing the rows: a full disk, a
constraint, a default that throws. Data that follows the statement's text is cut off at bytes that look like the end of
a statement. FROM INFILE reads all of it and reports every failure, so a body becomes a file without a name.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rapport.embedded.clickhouse.engine_errors import refuse

if TYPE_CHECKING:
    from pathlib import Path

MEMORY_BYTES: Final = 1 << 20
"""Data of up to this size does not touch the disk, where the system has files in memory (Linux)."""

_DESCRIPTORS: Final = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


class Spool:
    """A file without a name, which disappears with this process at the latest. Not for two threads at once.

    Args:
        directory: Holds the data that exceeds memory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1
        self._size = 0
        self._is_in_memory = False

    def append(self, data: bytes) -> None:
        """Write the next piece.

        Raises:
            EngineError: 243 when there is no space for it.
        """
        try:
            self._reserve(len(data))
            _write(self._descriptor, data)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise refuse(243, f"There is no space for the data of this INSERT ({error.strerror})") from error
        self._size += len(data)

    @property
    def path(self) -> str:
        """Name under which the engine can open the file, valid until ``close``."""
        self._reserve(0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)  # /dev/fd shares the position, /proc/self/fd does not
        return f"{_DESCRIPTORS}/{self._descriptor}"

    def close(self) -> None:
        """Release the data; harmless when repeated."""
        descriptor, self._descriptor = self._descriptor, -1
        with suppress(OSError):
            os.close(descriptor)

    def _reserve(self, more: int) -> None:
        """Open a file that may grow by that many bytes: in memory as long as it is small, then on the disk."""
        fits = self._size + more <= MEMORY_BYTES and hasattr(os, "memfd_create")
        if self._descriptor < 0:
            self._descriptor = os.memfd_create("insert") if fits else _open_file(self._directory)
            self._is_in_memory = fits
        elif self._is_in_memory and not fits:
            in_memory, self._descriptor = self._descriptor, _open_file(self._directory)
            self._is_in_memory = False
            try:
                _write(self._descriptor, os.pread(in_memory, self._size, 0))
            finally:
                os.close(in_memory)


def _open_file(directory: Path) -> int:
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        return os.dup(file.fileno())


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
