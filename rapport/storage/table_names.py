"""Names of tables for people: those of the views that show them."""

from __future__ import annotations

from typing import Final

SUFFIXES: Final = ("_log", "_state", "_versions")
"""Endings of tables that are read through a view: rows are only added; a later row of a key replaces the earlier ones;
each row is a version, or an attempt at one."""


def name_view(table: str) -> str:
    """Return the name of the view that shows a table, or of the table where no view does.

    ``interaction_log`` is shown by ``interactions``, ``audit_entry_log`` by ``audit_entries``.
    """
    for suffix in SUFFIXES:
        if table.endswith(suffix):
            stem = table.removesuffix(suffix)
            return f"{stem[:-1]}ies" if stem.endswith("y") else f"{stem}s"
    return table
