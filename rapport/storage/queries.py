"""SQL files in ``sql/``, loaded by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

SQL_DIR: Final = Path(__file__).resolve().parents[2] / "sql"


@cache
def load_query(name: str) -> str:
    """Load ``sql/queries/<name>.sql``, for example ``stream/progress``, without the comments at its head."""
    lines = (SQL_DIR / "queries" / f"{name}.sql").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("--"))


def list_migration_files() -> list[Path]:
    """List the migration files in the order in which they apply."""
    return sorted((SQL_DIR / "migrations").glob("[0-9]*.sql"))
