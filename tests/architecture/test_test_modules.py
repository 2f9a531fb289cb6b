"""Tests share builders and fixtures, never each other's modules."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.trees import tree_of

TESTS = Path(__file__).parents[1]


def imported_modules(path: Path) -> list[str]:
    """List the modules that a module imports, those imported in functions included."""
    modules: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return modules


def test_no_module_imports_a_test_module():
    imports = [
        f"{path.relative_to(TESTS)} imports {module}"
        for path in sorted(TESTS.rglob("*.py"))
        for module in imported_modules(path)
        if module.startswith("tests.") and module.rpartition(".")[2].startswith(("test_", "conftest"))
    ]
    assert imports == []
