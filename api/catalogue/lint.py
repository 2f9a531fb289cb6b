"""``/api/v1/catalog/lint``: warnings about a catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import Controller, Request, get

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.openapi_responses import answers
from api.runtime.catalogue_cache import CompiledCatalogues
from api.runtime.compute_threads import run_in_thread
from rapport.domain.api_keys import Role
from rapport.domain.catalogue_checks.lint import lint_catalogue
from rapport.domain.catalogue_checks.warnings import LintWarning

_EXAMPLE: Final[Mapping[str, object]] = {
    "stamp": "42",
    "warnings": [
        {
            "code": "offer_without_creative",
            "kind": "offer",
            "id": "off_abc123",
            "field": "",
            "message": "it has no active creative on an active channel, so that there is nothing to show of it",
        }
    ],
    "problems": [],
}


class LintReport(msgspec.Struct, frozen=True, kw_only=True):
    """Warnings about a catalogue.

    Attributes:
        stamp: Version of the catalogue that was checked.
        warnings: Ordered by kind and id.
        problems: Parts that decisions leave out because they cannot be read or used.
    """

    stamp: str
    warnings: Sequence[LintWarning]
    problems: Sequence[str]


class LintController(Controller):
    """Warnings about a catalogue, which do not prevent its use."""

    path = "/catalog"
    tags = ["Catalogue"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "catalogue"}

    @get("/lint", summary="What the catalogue says in vain", responses=answers(200, LintReport, _EXAMPLE))
    async def lint(self, request: Request[Principal, Any, Any], catalogues: Injected[CompiledCatalogues]) -> LintReport:
        """Find scopes that match nothing, contradictory caps, and offers, creatives and flows that show nothing.

        Also gates that flows leave out or skip, placeholders that may have no value, experiments that no flow asks,
        segments that nobody is in, and rules that requests decide or that let pass what is not known.
        """
        stored = await catalogues.refresh(request.user.tenant_id)
        ready = await catalogues.of(request.user.tenant_id)
        return LintReport(
            stamp=stored.stamp,
            warnings=await run_in_thread(request.user.tenant_id, lint_catalogue, stored.entities),
            problems=[*stored.faults, *ready.problems],
        )
