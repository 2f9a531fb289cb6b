"""``/api/v1/customers/{id}/unified-profile``."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.params import FromPath, QueryParameter

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.errors import invalid
from api.http.route_options import READS
from api.unified_profile.examples import ANSWERS
from api.unified_profile.schemas import StructuredProfile, UnifiedProfile
from api.unified_profile.service import UnifiedProfileService
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault


class UnifiedProfileController(Controller):
    """Unified profiles of customers."""

    tags = ["Customers"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "customers", READS: True}

    @get(
        "/customers/{customer_id:str}/unified-profile",
        summary="Read a customer's unified profile",
        responses=ANSWERS,
    )
    async def read(
        self,
        request: Request[Principal, Any, Any],
        unified_profiles: Injected[UnifiedProfileService],
        customer_id: FromPath[str],
        form: Annotated[
            str | None,
            QueryParameter(
                name="format", description="structured for one object; without it, a list of sections.", max_length=64
            ),
        ] = None,
        sections: Annotated[
            str | None,
            QueryParameter(
                description="Names of sections, separated by commas; only they are loaded. Not with `format`.",
                max_length=4_096,
            ),
        ] = None,
    ) -> UnifiedProfile | StructuredProfile:
        """Read a profile. Sections are loaded in parallel; one that fails is empty and says why.

        Sections: identities, interactions (the last 20), segments, journeys, experiments, consent, and those that
        packages add. A customer of whom nothing is known is a 404.
        """
        tenant_id = request.user.tenant_id
        if not form:
            return await unified_profiles.listed(tenant_id, customer_id, sections)
        faults: list[Fault] = []
        if form != "structured":
            faults.append(Fault(field="format", message="must be structured, or left out for a list of sections"))
        if sections:
            faults.append(Fault(field="sections", message="cannot be chosen together with format"))
        if faults:
            raise invalid(*faults)
        return await unified_profiles.structured(tenant_id, customer_id)
