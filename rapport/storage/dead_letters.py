"""Dead letters in the database: counted, listed, and marked when they were sent again."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from rapport.storage.client import Store


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter with its raw bytes."""

    id: str
    tenant_id: str
    code: str
    detail: str
    topic: str
    partition: int
    offset: int
    item: int
    key: bytes
    value: bytes


def count_letters(store: Store) -> pl.DataFrame:
    """Return one row per code with the number of letters that were not sent again."""
    return store.select("dead_letters/counts")


def list_letters(
    store: Store,
    *,
    codes: Sequence[str] = (),
    tenants: Sequence[str] = (),
    with_replayed: bool = False,
    limit: int = 100,
) -> pl.DataFrame:
    """Return the newest letters, without their bytes."""
    return store.select(
        "dead_letters/list",
        {"codes": list(codes), "tenants": list(tenants), "replayed": with_replayed, "limit": limit},
    )


def get_letters(store: Store, ids: Sequence[str]) -> list[StoredDeadLetter]:
    """Return the letters with some ids; unknown ids are left out."""
    return [
        StoredDeadLetter(
            id=row["id"],
            tenant_id=row["tenant_id"],
            code=row["code"],
            detail=row["detail"],
            topic=row["topic"],
            partition=row["partition"],
            offset=row["offset"],
            item=row["item"],
            key=base64.b64decode(row["key_base64"]),
            value=base64.b64decode(row["value_base64"]),
        )
        for row in store.rows("dead_letters/get", {"ids": list(ids)})
    ]


def mark_replayed(store: Store, ids: Sequence[str]) -> None:
    """Record that letters were sent again; they no longer count as waiting."""
    store.command("dead_letters/mark_replayed", {"ids": list(ids)})
