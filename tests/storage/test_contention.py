"""Writes with optimistic locking are decided again while other writers come first."""

from __future__ import annotations

import pytest

from rapport.storage.contention import MAX_ATTEMPTS, ContestedWriteError, retry_contested
from rapport.storage.errors import TerminalStorageError, TransientStorageError


class Write:
    """Loses to so many others first, and then fails or succeeds."""

    def __init__(self, losses: int, error: Exception | None = None) -> None:
        self.losses = losses
        self.error = error
        self.attempts = 0

    def __call__(self) -> str:
        self.attempts += 1
        if self.attempts <= self.losses:
            raise ContestedWriteError("the catalogue of acme")
        if self.error is not None:
            raise self.error
        return "written"


def test_a_write_that_lost_is_tried_again():
    write = Write(losses=5)
    assert retry_contested(write) == "written"
    assert write.attempts == 6


@pytest.mark.parametrize("error", [TransientStorageError("away"), TerminalStorageError("refused"), ValueError("no")])
def test_no_other_error_is_tried_again(error: Exception):
    write = Write(losses=1, error=error)
    with pytest.raises(type(error), match=str(error)):
        retry_contested(write)
    assert write.attempts == 2


def test_a_writer_who_always_loses_gives_up_and_may_come_again():
    write = Write(losses=MAX_ATTEMPTS + 1)
    with pytest.raises(TransientStorageError, match=rf"catalogue of acme .* {MAX_ATTEMPTS} attempts"):
        retry_contested(write)
    assert write.attempts == MAX_ATTEMPTS
