"""``rapport catalog`` as tests run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from rapport.cli.main import cli
from rapport.storage.client import connect
from rapport.storage.migrations import migrate
from rapport.storage.tenants import create_tenant

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from rapport.settings import ClickHouseSettings
    from rapport.storage.client import Store


class CatalogueCommand:
    """Runner of the command on a database of its own, with a tenant `t1`."""

    def __init__(self, settings: ClickHouseSettings, directory: Path) -> None:
        migrate(settings)
        self.store: Store = connect(settings)
        self._env = {"CLICKHOUSE_URL": settings.url, "CLICKHOUSE_DATABASE": settings.database}
        self._file = directory / "catalogue.yaml"
        create_tenant(self.store, "t1")

    def __call__(self, *arguments: str, text: str | None = None) -> Result:
        if text is not None:
            self._file.write_text(text, "utf-8")
        return CliRunner().invoke(
            cli, ["catalog", arguments[0], str(self._file), "--tenant", "t1", *arguments[1:]], env=self._env
        )

    @property
    def file(self) -> str:
        return self._file.read_text("utf-8")
