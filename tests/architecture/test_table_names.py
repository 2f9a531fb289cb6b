"""Tables and views are named by one scheme, which ARCHITECTURE.md states."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from rapport.storage.queries import list_migration_files
from rapport.storage.table_names import SUFFIXES, name_view

ROOT: Final = Path(__file__).parents[2]
CREATE: Final = re.compile(r"^CREATE (TABLE|VIEW|MATERIALIZED VIEW) (\w+)$", re.MULTILINE)
READ: Final = re.compile(r"\b(?:FROM|JOIN) (\w+)")
MASS_NOUNS: Final = frozenset({"stream_lag"})
COMPUTED: Final = frozenset({"catalogue_changes", "interaction_contacts", "metric_amounts", "stream_lag"})
"""Views that compute something else than the rows of one table: attempts left out, rows per period, ages."""
OTHER_ENDINGS: Final = re.compile(r"_(current|final|history|latest|newest|rows|table|trail|v\d*|view)$")
SPELLINGS: Final = re.compile(r"catalog(?!ue)|enrollment")


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """A table or view, as its migration creates it."""

    kind: str
    name: str
    statement: str

    @property
    def sources(self) -> frozenset[str]:
        """Tables and views that it reads."""
        return frozenset(READ.findall(self.statement))


def list_objects() -> list[SchemaObject]:
    texts = [re.sub("--.*", "", path.read_text("utf-8")) for path in list_migration_files()]
    return [SchemaObject(*found.groups(), text) for text in texts if (found := CREATE.search(text))]


OBJECTS: Final = list_objects()
TABLES: Final = frozenset(one.name for one in OBJECTS if one.kind == "TABLE")
VIEWS: Final = {one.name: one for one in OBJECTS if one.kind == "VIEW"}
FEEDS: Final = [one for one in OBJECTS if one.kind == "MATERIALIZED VIEW"]


def find_tables(view: str) -> frozenset[str]:
    """Find the tables that a view reads, through other views too."""
    sources = VIEWS[view].sources & (TABLES | VIEWS.keys())
    return frozenset().union(*(find_tables(one) if one in VIEWS else {one} for one in sources))


def test_the_migrations_are_understood():
    assert {"interaction_log", "tenants"} <= TABLES
    assert VIEWS["interactions"].sources == {"interaction_log"}
    assert find_tables("catalogue_entities") == {"catalogue_entity_versions"}


@pytest.mark.parametrize("table", sorted(table for table in TABLES if table.endswith(SUFFIXES)))
def test_a_table_with_a_suffix_is_shown_by_the_view_with_the_plain_plural(table: str):
    assert name_view(table) in VIEWS
    assert table in find_tables(name_view(table))


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_a_view_shows_the_table_of_its_name_or_computes_something_else(view: str):
    assert not view.endswith(SUFFIXES)
    assert not OTHER_ENDINGS.search(view)
    shown = {table for table in find_tables(view) if name_view(table) == view}
    assert (len(shown) == 1) != (view in COMPUTED)


@pytest.mark.parametrize("name", sorted(one.name for one in OBJECTS if not one.name.endswith((*SUFFIXES, "_feed"))))
def test_a_view_and_a_table_without_a_view_have_plain_plural_names(name: str):
    assert name.endswith("s") or name in MASS_NOUNS


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_a_materialized_view_fills_the_table_of_its_name(feed: SchemaObject):
    assert feed.name.endswith("_feed")
    assert re.search(rf"^TO {feed.name.removesuffix('_feed')}(_log|s)$", feed.statement, re.MULTILINE)


def test_names_are_spelled_as_the_vocabulary_does():
    assert [one.name for one in OBJECTS if SPELLINGS.search(one.name)] == []


def test_the_page_for_analysts_lists_every_view_and_no_table():
    page = (ROOT / "docs" / "tables.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == VIEWS.keys()


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], ids=lambda page: page.name)
def test_documented_queries_need_no_final(page: Path):
    blocks = re.findall(r"```sql\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert [block for block in blocks if re.search(r"\bFINAL\b", block)] == []
