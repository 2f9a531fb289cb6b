"""``/api/v1/identity``: identifiers and merges of customers."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Controller, Request, get, post
from litestar.params import QueryParameter, RequestBody

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.errors import invalid
from api.http.openapi_responses import answers
from api.identity.schemas import EXAMPLE, IdentityAnswer, IdentityBody, IdentityView
from api.identity.service import IdentityService
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault

_MERGED: Final = {"success": True, "mergeId": "mrg_6f1c2a9be0d84f0f9d1f0c3f7a5b2e11"}
_Asking = Request[Principal, Any, Any]


class IdentityController(Controller):
    """Identifiers of customers, and customers who are one person."""

    path = "/identity"
    tags = ["Customers"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "customers"}

    @get(summary="Who a customer is", responses=answers(200, IdentityView, EXAMPLE, 400))
    async def get_identity(
        self,
        request: _Asking,
        identity: Injected[IdentityService],
        customer_id: Annotated[
            str | None, QueryParameter(name="customerId", description="Any id of the person.", max_length=256)
        ] = None,
    ) -> IdentityView:
        """Get the ids that were merged, identifiers linked to one of them, and those of contact profiles."""
        if not customer_id:
            raise invalid(Fault(field="customerId", message="customerId is required"))
        return await identity.show(request.user.tenant_id, customer_id)

    @post(
        dto=JsonBody[IdentityBody],
        return_dto=None,
        status_code=200,
        guards=[requires(Role.EDITOR)],
        summary="Resolve or link identifiers, merge or unmerge customers",
        responses=answers(200, IdentityAnswer, _MERGED, 400, 404, 409, 413, 415),
    )
    async def change_identity(
        self, request: _Asking, identity: Injected[IdentityService], data: RequestBody[IdentityBody]
    ) -> IdentityAnswer:
        """Act on identities: `resolve` finds the customer of an identifier, `link` assigns identifiers to one.

        `merge` has two customers be one person: reads about either are about both, and add up exactly. `unmerge` takes
        the latest such statement back, and everything is as it was. Stored data of customers does not change.
        """
        return await identity.act(request.user, data)
