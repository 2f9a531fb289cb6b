"""``/api/v1/experiments/{id}/results`` and ``/api/v1/creative-results``: results of experiments and creatives."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from litestar import Controller, Request, get
from litestar.params import FromPath, QueryParameter

from api.auth.principal import Principal, requires
from api.experiments.examples import CREATIVES, RESULTS
from api.experiments.service import ALL_EXPERIMENTS, ExperimentService
from api.http.areas import Injected
from api.http.errors import ApiError, invalid
from api.http.openapi_responses import answers
from api.http.parameters import check_choice, read_instant, text_parameter
from api.http.route_options import READS
from api.http.times import Clock
from rapport.domain.api_keys import Role
from rapport.domain.experiments.results import CreativeResults, ExperimentResults
from rapport.domain.experiments.statistics import ALPHA
from rapport.domain.faults import Fault
from rapport.storage.experiments import ConversionQuery

MAX_SAMPLES: Final = 10_000_000
_CONVERSIONS: Final = ("any", "offered")


_From = Annotated[
    str | None, text_parameter("from", "Recommendations at or after this time; ISO 8601 or epoch milliseconds.")
]
_To = Annotated[
    str | None, text_parameter("to", "Recommendations and conversions before this time, likewise; by default now.")
]
_MinSamples = Annotated[
    int | None,
    QueryParameter(
        name="minSamples",
        description="Customers that both sides of a comparison need before it can be significant.",
        ge=1,
        le=MAX_SAMPLES,
    ),
]
_Alpha = Annotated[
    float, QueryParameter(description="How often a difference may be found where there is none.", ge=0.0001, le=0.5)
]


class ExperimentResultsController(Controller):
    """Results of experiments and of creatives."""

    tags = ["Experiments"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "experiments", READS: True}

    @get(
        "/experiments/{entity_id:str}/results",
        summary="Compare the variants of an experiment",
        responses=answers(200, ExperimentResults, RESULTS, 400, 404, 409),
    )
    async def results(
        self,
        request: Request[Principal, Any, Any],
        experiments: Injected[ExperimentService],
        entity_id: FromPath[str],
        from_: _From = None,
        to: _To = None,
        offer_id: Annotated[
            str | None, text_parameter("offerId", "Only conversions of this offer, and its creatives compared, too.")
        ] = None,
        conversions: Annotated[
            str | None,
            text_parameter(
                "conversions", "any (default), or offered: only of what the experiment had recommended before."
            ),
        ] = None,
        min_samples: _MinSamples = None,
        alpha: _Alpha = ALPHA,
    ) -> ExperimentResults:
        """Compare variants: a customer is in that of the first recommendation in the range; a later conversion counts.

        The experiment is named by its id or its key. `pValue`, `ciLower` and `ciUpper` are for one look at a sample
        whose size was chosen before; the sequential ones may be looked at, and acted on, at any time. If
        `sampleRatio.mismatch` is true, customers are not spread as configured (or the shares were changed in the range)
        and nothing else can be trusted.
        """
        faults: list[Fault] = []
        kind = check_choice("conversions", conversions, _CONVERSIONS, faults)
        counting = replace(
            _counting(experiments.clock, request.user.tenant_id, from_, to, faults),
            offer_id=offer_id or "",
            only_offered=kind == "offered",
        )
        experiment = await experiments.find(request.user.tenant_id, entity_id)
        if experiment is None:
            raise ApiError(404, f"There is no experiment {entity_id!r}.")
        return await experiments.load_results(experiment, counting, min_samples, alpha)

    @get(
        "/creative-results",
        summary="Compare the creatives of an offer",
        responses=answers(200, CreativeResults, CREATIVES, 400, 409),
    )
    async def creatives(
        self,
        request: Request[Principal, Any, Any],
        experiments: Injected[ExperimentService],
        offer_id: Annotated[str | None, text_parameter("offerId", "Whose creatives; required.")] = None,
        from_: _From = None,
        to: _To = None,
        min_samples: _MinSamples = None,
        alpha: _Alpha = ALPHA,
    ) -> CreativeResults:
        """Compare creatives over all recommendations of the offer, in experiments or not.

        A customer belongs to the creative that was recommended first in the range, and has converted if a conversion of
        the offer follows.
        """
        faults = [] if offer_id else [Fault(field="offerId", message="offerId is required")]
        counting = _counting(experiments.clock, request.user.tenant_id, from_, to, faults)
        counting = replace(counting, offer_id=offer_id or "")
        return await experiments.load_creatives(ALL_EXPERIMENTS, counting, min_samples, alpha)


def _counting(clock: Clock, tenant_id: str, from_: str | None, to: str | None, faults: list[Fault]) -> ConversionQuery:
    """Make the query for a range of time.

    Raises:
        ApiError: 400 with these faults and those of the range.
    """
    from_ms = read_instant("from", from_, faults) or 0
    to_ms = read_instant("to", to, faults)
    if to_ms is not None and to_ms <= from_ms:
        faults.append(Fault(field="to", message="must be after from"))
    if faults:
        raise invalid(*faults)
    return ConversionQuery(tenant_id=tenant_id, from_ms=from_ms, to_ms=clock() + 1 if to_ms is None else to_ms)
