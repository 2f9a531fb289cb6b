"""Changes of the catalogue reach every process within two seconds, and each version is loaded and compiled once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import pytest

from api.runtime.catalogue_cache import CompiledCatalogues
from api.runtime.versions import Versions
from rapport.domain.catalogue.inventory import Offer
from rapport.embedded.supervisor.ports import find_free_port
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue
from rapport.storage.database import Database
from rapport.storage.errors import TransientStorageError
from tests.faults.proxy import running_proxy
from tests.fixtures.deadlines import until, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rapport.settings import ClickHouseSettings
    from rapport.storage.client import Store
    from tests.fixtures.api import Caller
    from tests.fixtures.store import MigratedDatabase

LOADING = "catalogue/at_revision"


class Catalogues:
    """A cache, and how often it asked what."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self.asked: Counter[str] = Counter()
        self._database = Database(settings, self._timed)
        self.cache = CompiledCatalogues(self._database, Versions(None))

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        self.asked[name] += 1
        yield

    def close(self) -> None:
        self._database.close()


@pytest.fixture
def settings(migrated_database: MigratedDatabase) -> ClickHouseSettings:
    return migrated_database.settings


def put(store: Store, name: str) -> None:
    change = EntityChange("offer", Offer(id="loan", name=name))
    change_catalogue(store, "t1", Author("anna"), lambda _before: [change])


def test_a_change_is_picked_up_within_two_seconds_and_every_version_is_loaded_once(
    store: Store, settings: ClickHouseSettings
):
    async def use(catalogues: Catalogues) -> None:
        put(store, "first")
        found = await asyncio.gather(*(catalogues.cache.of("t1") for _ in range(50)))
        assert len(set(map(id, found))) == 1
        put(store, "second")

        async def is_second() -> bool:
            return (await catalogues.cache.of("t1")).offers["loan"].name == "second"

        await until(is_second, "the change is picked up", seconds=2)
        assert catalogues.asked[LOADING] == 2
        assert (await catalogues.cache.at("t1", "1")).offers["loan"].name == "first"
        assert await catalogues.cache.at("t1", "1") is await catalogues.cache.at("t1", "1")
        assert await catalogues.cache.at("t1", "2") is await catalogues.cache.of("t1")
        assert catalogues.asked[LOADING] == 3

    with closing(Catalogues(settings)) as catalogues:
        asyncio.run(use(catalogues))


def test_whoever_must_not_miss_a_change_sees_it_at_once(store: Store, settings: ClickHouseSettings):
    async def use(catalogues: Catalogues) -> None:
        for number in range(3):
            put(store, f"{number}")
            early = asyncio.create_task(catalogues.cache.of("t1"))
            stored = await catalogues.cache.refresh("t1")
            assert [one.name for one in stored.entities["offer"]] == [f"{number}"]
            await early
            assert (await catalogues.cache.of("t1")).stamp == stored.stamp

    with closing(Catalogues(settings)) as catalogues:
        asyncio.run(use(catalogues))


def test_while_clickhouse_is_away_the_last_known_catalogue_holds(store: Store, settings: ClickHouseSettings):
    async def use(catalogues: Catalogues, cut: object, mend: object) -> None:
        assert callable(cut)
        assert callable(mend)
        put(store, "first")
        known = await catalogues.cache.of("t1")
        cut()
        looked = catalogues.asked["catalogue/revision"]

        async def has_looked() -> bool:
            assert await catalogues.cache.of("t1") is known
            return catalogues.asked["catalogue/revision"] > looked

        await until(has_looked, "it was looked for a newer one in vain")
        with pytest.raises(TransientStorageError):
            await catalogues.cache.of("t2")
        mend()
        put(store, "second")

        async def is_second() -> bool:
            return (await catalogues.cache.of("t1")).offers["loan"].name == "second"

        await until(is_second, "the change is picked up")

    address = urlsplit(settings.url)
    assert address.port is not None
    with running_proxy(find_free_port()) as proxy:
        proxy.target_port = address.port
        netloc = f"{address.username}:{address.password}@{proxy.address}"
        through = msgspec.structs.replace(settings, url=address._replace(netloc=netloc).geturl())
        with closing(Catalogues(through)) as catalogues:
            asyncio.run(use(catalogues, proxy.cut, proxy.mend))


def test_the_running_api_knows_a_change_made_elsewhere(caller: Caller):
    change = EntityChange("offer", Offer(id="loan", name="Loan"))
    assert caller.get("/offers/loan").status_code == 404
    change_catalogue(caller.store, caller.tenant_id, Author("anna"), lambda _before: [change])
    assert caller.get("/offers/loan").json()["name"] == "Loan"
    wait_until(
        lambda: [one["code"] for one in caller.get("/catalog/lint").json()["warnings"]] == ["offer_without_creative"],
        "the linter sees it",
        seconds=2,
    )
