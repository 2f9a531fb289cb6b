"""Complaints about input: one type for every fault that a caller can mend."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """Complaint about one field of an input.

    Attributes:
        field: Path of the field as in JSON, such as ``profile.memories``; empty for the input as a whole.
        message: States what is wrong and what would be right.
    """

    field: str
    message: str
