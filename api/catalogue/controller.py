"""``/api/v1/offers`` and its like: one implementation for every kind of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter, RequestBody

from api.auth.principal import Principal, requires
from api.catalogue.bodies import RawEntityBody, documented_as, expected_version
from api.catalogue.changes import etag_of, find, readable
from api.catalogue.filters import Filters
from api.catalogue.page import EntityFilter, select_page
from api.catalogue.resource import Resource
from api.catalogue.service import CatalogueService
from api.catalogue.shapes import body_shape, build_view, page_shape, patch_shape, view_shape
from api.http.areas import Injected
from api.http.cursors import CursorParameter, build_pagination
from api.http.errors import ApiError, invalid
from api.http.openapi_responses import answers
from api.http.parameters import check_choice, clamp
from rapport.domain.api_keys import Role
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.domain.faults import Fault
from rapport.storage.catalogue import EntityVersion

DEFAULT_LIMIT: Final = 25
MAX_LIMIT: Final = 200
_STATUSES: Final = ("draft", "active", "paused", "archived")
_Filters = NamedDependency[Filters]
_IncludeDeleted = Annotated[bool, QueryParameter(name="includeDeleted", description="Deleted ones, too.")]
_Asking = Request[Principal, Any, Any]


def _text(name: str, description: str) -> QueryParameter:
    return QueryParameter(name=name, description=description, max_length=1_000)


def make_controller(resource: Resource) -> type[Controller]:
    """Make the routes of one kind."""
    kind = resource.kind
    view, body, patched = view_shape(kind), body_shape(kind), patch_shape(kind)
    name, one = KINDS[kind].__name__, resource.one
    example = build_view("t_001", resource.example) | dict(resource.extras.example if resource.extras else {})
    page = {
        "data": [example],
        "pagination": {"total": 1, "limit": DEFAULT_LIMIT, "hasMore": False, "nextCursor": None, "cursor": None},
    }
    writers = [requires(resource.writer)]

    class CatalogueController(Controller):
        path = resource.path
        tags = [resource.tag]
        guards = [requires(Role.VIEWER)]
        opt = {"scope": "catalogue"}
        dependencies = {"filters": Provide(resource.filters, sync_to_thread=False)}

        @get(
            operation_id=f"List{name}s",
            summary=f"List {resource.plural}",
            responses=answers(200, page_shape(kind), page, 400),
        )
        async def list_entities(
            self,
            request: _Asking,
            catalogue: Injected[CatalogueService],
            filters: _Filters,
            status: Annotated[str | None, _text("status", f"{', '.join(_STATUSES)}.")] = None,
            q: Annotated[str | None, _text("q", "With this text in name, id, key or description.")] = None,
            name: Annotated[str | None, _text("name", "Called exactly so.")] = None,
            limit: Annotated[
                int, QueryParameter(description=f"Rows of a page; brought into 1 to {MAX_LIMIT}.")
            ] = DEFAULT_LIMIT,
            cursor: CursorParameter = None,
            *,
            include_deleted: _IncludeDeleted = False,
        ) -> Response[Any]:
            """List entities that match all filters."""
            wanted = EntityFilter(
                status=_status(status),
                search=q or "",
                name=name or "",
                fields=filters,
                with_deleted=include_deleted,
            )
            stored = await catalogue.load(request.user.tenant_id)
            found, pagination = select_page(stored, kind, wanted, cursor, clamp(limit, 1, MAX_LIMIT))
            data = await catalogue.show(resource, request.user.tenant_id, found)
            return Response({"data": data, "pagination": pagination})

        @get(
            "/{entity_id:str}",
            operation_id=f"Get{name}",
            summary=f"Get {one}",
            responses=answers(200, view, example, 404),
        )
        async def get_entity(
            self,
            request: _Asking,
            catalogue: Injected[CatalogueService],
            entity_id: FromPath[str],
            *,
            include_deleted: _IncludeDeleted = False,
        ) -> Response[Any]:
            """Get an entity. `ETag` is the version; send it as `If-Match` with a change."""
            stored = await catalogue.load(request.user.tenant_id)
            record = find(stored, kind, entity_id, or_deleted=include_deleted)
            view = await catalogue.show_with_publications(resource, request.user.tenant_id, record)
            return Response(view, headers={"ETag": etag_of(record)})

        @get(
            "/{entity_id:str}/versions",
            operation_id=f"List{name}Versions",
            summary=f"Every version of {one}, the newest first",
            responses=answers(200, page_shape(kind), page, 404),
        )
        async def list_versions(
            self, request: _Asking, catalogue: Injected[CatalogueService], entity_id: FromPath[str]
        ) -> Response[Any]:
            """List every version; none is ever overwritten, so the base of a decision can be read later."""
            records = await catalogue.load_versions(request.user.tenant_id, kind, entity_id)
            if not records:
                raise ApiError(404, f"There never was {one} {entity_id!r}.")
            data = await catalogue.show(resource, request.user.tenant_id, records)
            pagination = build_pagination(len(data), len(data), None)
            return Response({"data": data, "pagination": pagination})

        @post(
            dto=documented_as(body),
            return_dto=None,
            operation_id=f"Create{name}",
            summary=f"Make {one}",
            responses=answers(201, view, example, 400, 409, 413, 415),
            guards=writers,
        )
        async def create(
            self, request: _Asking, catalogue: Injected[CatalogueService], data: RequestBody[RawEntityBody]
        ) -> Response[Any]:
            """Make an entity. Without `id` one is made, and without `key`, where there are keys, one of the name."""
            record = await catalogue.create(request.user, kind, data.fields)
            return await _answer(catalogue, resource, request, record, 201)

        @put(
            "/{entity_id:str}",
            dto=documented_as(body),
            return_dto=None,
            operation_id=f"Replace{name}",
            summary=f"Replace {one}",
            responses=answers(200, view, example, 400, 404, 409, 413, 415),
            guards=writers,
        )
        async def replace(
            self,
            request: _Asking,
            catalogue: Injected[CatalogueService],
            entity_id: FromPath[str],
            data: RequestBody[RawEntityBody],
        ) -> Response[Any]:
            """Replace an entity; fields not given take defaults. 409 if `If-Match` or `version` is not the newest."""
            expected = _expected(request, data.fields)
            record = await catalogue.replace(request.user, kind, entity_id, data.fields, expected)
            return await _answer(catalogue, resource, request, record)

        @patch(
            "/{entity_id:str}",
            dto=documented_as(patched),
            return_dto=None,
            operation_id=f"Patch{name}",
            summary=f"Change some fields of {one}",
            responses=answers(200, view, example, 400, 404, 409, 413, 415),
            guards=writers,
        )
        async def patch(
            self,
            request: _Asking,
            catalogue: Injected[CatalogueService],
            entity_id: FromPath[str],
            data: RequestBody[RawEntityBody],
        ) -> Response[Any]:
            """Apply a JSON merge patch: null takes a field back to its default. 409 as with PUT."""
            expected = _expected(request, data.fields)
            record = await catalogue.patch(request.user, kind, entity_id, data.fields, expected)
            return await _answer(catalogue, resource, request, record)

        @delete(
            "/{entity_id:str}",
            operation_id=f"Delete{name}",
            summary=f"Delete {one}",
            responses=answers(204, None, None, 404, 409),
            guards=writers,
        )
        async def delete(
            self, request: _Asking, catalogue: Injected[CatalogueService], entity_id: FromPath[str]
        ) -> None:
            """Delete an entity; its versions stay. With an offer its creatives are deleted."""
            expected = _expected(request, {})
            await catalogue.delete(request.user, kind, entity_id, expected)

    CatalogueController.__name__ = f"{name}Controller"
    return CatalogueController


def _expected(request: _Asking, fields: Mapping[str, Any]) -> int | None:
    older = {"version": fields["rowVersion"]} if "rowVersion" in fields and "version" not in fields else {}
    return expected_version(request.headers.get("if-match"), {**fields, **older})


def _status(given: str | None) -> str:
    faults: list[Fault] = []
    status = check_choice("status", given, _STATUSES, faults)
    if faults:
        raise invalid(*faults)
    return status


async def _answer(
    catalogue: CatalogueService, resource: Resource, request: _Asking, record: EntityVersion, status: int = 200
) -> Response[Any]:
    readable(record)
    (view,) = await catalogue.show(resource, request.user.tenant_id, [record])
    return Response(view, status_code=status, headers={"ETag": etag_of(record)})
