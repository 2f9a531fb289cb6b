from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fixtures.api import Caller


def test_an_unknown_route_is_404(caller: Caller):
    assert caller.get("/nothing").status_code == 404
