"""Results of experiments and creatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.experiments.controller import ExperimentResultsController
from api.experiments.service import ExperimentService
from api.http.areas import Area

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_experiments(runtime: Runtime) -> Area:
    """Build the area from the database, the catalogues and the clock of the process."""
    experiments = ExperimentService(runtime.database, runtime.catalogues, runtime.clock)
    return Area(controllers=[ExperimentResultsController], services={"experiments": experiments})
