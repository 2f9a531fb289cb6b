"""The catalogue: entities of every kind, decision flows, and the linter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.catalogue.controller import make_controller
from api.catalogue.flows import FlowController
from api.catalogue.lint import LintController
from api.catalogue.resources import RESOURCES
from api.catalogue.service import CatalogueService
from api.http.areas import Area

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_catalogue(runtime: Runtime) -> Area:
    """Build the area from the database and the catalogues of the process."""
    return Area(
        controllers=[*map(make_controller, RESOURCES), FlowController, LintController],
        services={
            "catalogue": CatalogueService(runtime.database, runtime.catalogues),
            "catalogues": runtime.catalogues,
            "database": runtime.database,
        },
    )
