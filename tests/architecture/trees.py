"""The syntax trees of the project's modules."""

from __future__ import annotations

import ast
import gc
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@cache
def tree_of(path: Path) -> ast.Module:
    """Parse a module.

    The collector waits meanwhile: if it finalizes what another test left within ``ast.parse``, CPython 3.11 says
    "AST constructor recursion depth mismatch".
    """
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        gc.enable()
