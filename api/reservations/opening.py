"""Chooses where reservations are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.reservations.book import Book, MemoryBook
from api.reservations.shared import SharedBook
from api.shared_state import connect_shared_state

if TYPE_CHECKING:
    from rapport.settings import ApiSettings


def open_book(settings: ApiSettings) -> Book:
    """In the processes' shared state; in memory where each process keeps to itself."""
    redis = connect_shared_state(settings)
    return MemoryBook() if redis is None else SharedBook(redis, int(settings.reservation_s * 1000))
