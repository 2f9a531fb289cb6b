"""Names and docstrings are the field's: what of the house's vocabulary a test can check."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.architecture.trees import tree_of

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final[tuple[str, ...]] = (
    "api",
    "tests/api",
    "pipeline",
    "jobs",
    "rapport",
    "benchmarks",
    "tests/jobs",
    "tests/fixtures",
    "tests/faults",
    "tests/broker",
    "tests/kafka",
    "tests/attack",
    "tests/embedded",
    "tests/pipeline",
    "tests/cli",
    "tests/e2e",
    "tests/docs",
    "tests/datasets",
)
"""Packages whose names and docstrings are checked."""
RINGS: Final[tuple[str, ...]] = (
    "api",
    "pipeline",
    "jobs",
    "rapport/embedded",
    "rapport/cli",
    "benchmarks",
    "rapport/storage",
    "rapport/application",
    "rapport/domain",
)
"""Within one of them a class name means one thing."""
OPENINGS: Final = re.compile(r"(What|Who|Whose|Whom|Where|How)\b")
ONE_WORD: Final = re.compile(r"^ {4,12}(\w+): \w+\.$", re.MULTILINE)
IRREGULAR: Final = frozenset(
    {
        *("Asked", "Begun", "Bound", "Built", "Chosen", "Cut", "Done", "Found", "Given", "Gone", "Held", "Kept"),
        *("Known", "Left", "Lost", "Made", "Meant", "Put", "Read", "Said", "Seen", "Sent", "Shown", "Taken", "Told"),
        *("Understood", "Won", "Written"),
    }
)
EVENTS: Final = frozenset({"InteractionRecorded", "DecisionMade"})
"""Event types are named for what has happened."""
GERUNDS: Final = frozenset({"mapping", "rendering", "scoring", "string"})
"""Nouns of the field."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def modules(package: str) -> Sequence[tuple[str, ast.Module]]:
    """Parse the modules of a package; each comes with its path."""
    return [(str(path.relative_to(ROOT)), tree_of(path)) for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def definitions(tree: ast.Module) -> Sequence[Definition]:
    """List every function and class."""
    return [node for node in ast.walk(tree) if isinstance(node, Definition)]


def words(name: str) -> list[str]:
    """Split a name into its words: ``_OfferTotals`` is Offer and Totals."""
    return re.findall(r"[A-Z][a-z]+|[A-Z]+(?![a-z])", name)


def is_participle(name: str) -> bool:
    """Say whether a type's name ends in a participle: ``Asked``, ``_KnownMade``."""
    last = (words(name) or [""])[-1]
    return name not in EVENTS and (last in IRREGULAR or (last.endswith("ed") and last not in {"Feed", "Embed", "Seed"}))


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_are_named_by_nouns(package: str):
    assert [
        path for path, _ in modules(package) if (stem := Path(path).stem).endswith("ing") and stem not in GERUNDS
    ] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_types_are_named_by_nouns(package: str):
    found = [
        f"{path}: {node.name}"
        for path, tree in modules(package)
        for node in definitions(tree)
        if isinstance(node, ast.ClassDef) and is_participle(node.name)
    ]
    assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_called_of_something_is_a_part_of_it(package: str):
    """``period_of(event)`` gives an attribute of its argument, or looks it up; what does more says what it does."""
    found = [
        f"{path}: {node.name}"
        for path, tree in modules(package)
        for node in definitions(tree)
        if node.name.endswith("_of") and not isinstance(node, ast.ClassDef) and len(_body(node)) > 1
    ]
    assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_begin_with_their_subject(package: str):
    found = [
        f"{path}: {getattr(node, 'name', '')}: {text.splitlines()[0]}"
        for path, tree in modules(package)
        for node in (tree, *definitions(tree))
        if (text := ast.get_docstring(node) or "") and OPENINGS.match(text)
    ]
    assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_argument_is_described_by_one_word(package: str):
    found = [
        f"{path}: {node.name}: {match.group().strip()}"
        for path, tree in modules(package)
        for node in definitions(tree)
        for match in ONE_WORD.finditer(ast.get_docstring(node, clean=False) or "")
    ]
    assert found == []


@pytest.mark.parametrize("ring", RINGS)
def test_a_class_name_means_one_thing_within_a_ring(ring: str):
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path, tree in modules(ring):
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path)
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def _body(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    return node.body[1:] if ast.get_docstring(node) else node.body
