"""``/api/v1/decision-flows/publish`` and ``/ensure-base``: publication of flows."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import msgspec
from litestar import Controller, Request, Response, post
from litestar.params import RequestBody

from api.auth.principal import Principal, requires
from api.catalogue import changes
from api.catalogue.resources import RESOURCES
from api.catalogue.shapes import build_view, view_shape
from api.http.areas import Injected
from api.http.bodies import Body, JsonBody
from api.http.errors import ApiError, invalid
from api.http.openapi_responses import answers
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.plain import to_full_fields
from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.catalogue_checks.lint import lint_catalogue
from rapport.domain.catalogue_checks.lint_flows import list_flows_in_use
from rapport.domain.catalogue_checks.lint_placeholders import lint_placeholders
from rapport.domain.catalogue_checks.validate import find_faults
from rapport.domain.decisions.catalogue import BASE_FLOW, BASE_FLOW_KEY
from rapport.domain.faults import Fault
from rapport.storage.catalogue_changes import EntityChange
from rapport.storage.database import Database

if TYPE_CHECKING:
    from rapport.domain.catalogue_checks.warnings import LintWarning
    from rapport.storage.catalogue import EntityVersion, StoredCatalogue
    from rapport.storage.client import Store

KIND: Final = "decision_flow"
_EXAMPLE: Final = build_view("t_001", next(one for one in RESOURCES if one.kind == KIND).example)


class PublishBody(Body, frozen=True):
    """Flow to be published, by id or by key.

    Attributes:
        version: Of the entity; 409 if it has changed since.
    """

    id: Annotated[str, msgspec.Meta(max_length=256)] = ""
    key: Annotated[str, msgspec.Meta(max_length=100)] = ""
    version: int | None = None


class BaseFlow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The base flow, and whether it was made just now."""

    flow_id: str
    created: bool


class FlowController(Controller):
    """Publication of flows: requests run the published nodes, while the draft is edited."""

    path = "/decision-flows"
    tags = ["Catalogue"]
    guards = [requires(Role.EDITOR)]
    opt = {"scope": "catalogue"}

    @post(
        "/publish",
        dto=JsonBody[PublishBody],
        return_dto=None,
        status_code=200,
        summary="Publish the draft of a decision flow",
        responses=answers(200, view_shape(KIND), _EXAMPLE, 400, 404, 409, 413, 415),
    )
    async def publish(
        self, request: Request[Principal, Any, Any], database: Injected[Database], data: RequestBody[PublishBody]
    ) -> Response[Any]:
        """Publish a draft; 400 names every faulty node. Requests run it within 2 seconds.

        `warnings` lists nodes without effect, and placeholders that may have no value.
        """
        if bool(data.id) == bool(data.key):
            raise invalid(Fault(field="key", message="name the flow by id or by key"))
        record, warnings = await database.call(publish, request.user, data)
        view = build_view(request.user.tenant_id, record) | {"warnings": warnings}
        return Response(view, headers={"ETag": changes.etag_of(record)})

    @post(
        "/ensure-base",
        status_code=200,
        summary="Make the base flow, unless there is one",
        responses={
            **answers(200, BaseFlow, {"flowId": "flow_base", "created": False}),
            201: answers(201, BaseFlow, {"flowId": "flow_base", "created": True})[201],
        },
    )
    async def ensure_base(
        self, request: Request[Principal, Any, Any], database: Injected[Database]
    ) -> Response[BaseFlow]:
        """Make a base flow that can be changed; a tenant without flows decides by the built-in one anyway."""
        flow_id, created = await database.call(ensure_base, request.user)
        return Response(BaseFlow(flow_id=flow_id, created=created), status_code=201 if created else 200)


def publish(store: Store, principal: Principal, wanted: PublishBody) -> tuple[EntityVersion, Sequence[LintWarning]]:
    """Publish the draft, which requests then run, and lint it.

    A draft that is published already is not published again.

    Raises:
        ApiError: 400 with every fault of the draft, 404, or 409 if the flow has changed since.
    """
    found = ""

    def decide(before: StoredCatalogue) -> Sequence[EntityChange]:
        nonlocal found
        record = changes.find(before, KIND, wanted.id or _find_id(before, wanted.key), wanted.version)
        found = record.id
        flow = cast("DecisionFlow", changes.readable(record))
        flaws = [Fault(field=flaw.field, message=flaw.message) for flaw in find_faults([(KIND, flow)], before.entities)]
        if not flow.draft:
            flaws.append(Fault(field="draft", message="is empty: there is nothing to publish"))
        if flaws:
            raise invalid(*flaws)
        if flow.published_version and to_full_fields(flow.draft) == to_full_fields(flow.published):
            return ()
        version = flow.published_version + 1
        return [EntityChange(KIND, msgspec.structs.replace(flow, published=flow.draft, published_version=version))]

    after = changes.change(store, principal, decide)
    record = after.records[KIND][found]
    key = cast("DecisionFlow", record.entity).key
    others = lint_placeholders(after.entities, [flow for flow in list_flows_in_use(after.entities) if flow.key == key])
    own = (one for one in lint_catalogue(after.entities) if (one.kind, one.id) == (KIND, found))
    return record, [*own, *others]


def ensure_base(store: Store, principal: Principal) -> tuple[str, bool]:
    """Return the id of the base flow, and whether it had to be made."""
    made = f"flow_{secrets.token_hex(8)}"

    def decide(before: StoredCatalogue) -> Sequence[EntityChange]:
        flows = cast("Sequence[DecisionFlow]", before.entities[KIND])
        if any(flow.key == BASE_FLOW_KEY for flow in flows):
            return ()
        base = msgspec.structs.replace(
            BASE_FLOW,
            id=made,
            draft=BASE_FLOW.published,
            is_default=not any(flow.is_default for flow in flows),
        )
        return [EntityChange(KIND, base)]

    after = changes.change(store, principal, decide)
    flow_id = _find_id(after, BASE_FLOW_KEY)
    return flow_id, flow_id == made


def _find_id(catalogue: StoredCatalogue, key: str) -> str:
    for flow in catalogue.entities[KIND]:
        if isinstance(flow, DecisionFlow) and flow.key == key:
            return flow.id
    raise ApiError(404, f"There is no decision flow with key {key!r}.")
