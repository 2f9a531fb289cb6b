"""Complaints about input: one type for every fault that a caller can mend."""

from __future__ import annotations

import msgspec


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """Complaint about one field of an input; errors of the API list it as it is.

    Attributes:
        field: The field as the caller names it, such as ``profile.memories``, or the parameter or header; empty for the
            input as a whole.
        message: The fault, and the correct form.
        index: Which item of an array, from 0.
    """

    field: str
    message: str
    index: int | None = None

    def at(self, index: int) -> Fault:
        """Return the fault as one of an item of an array."""
        return Fault(self.field, self.message, index)
