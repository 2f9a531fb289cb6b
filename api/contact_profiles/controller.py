"""``/new/v2.0/profiles`` and ``/api/v2.0/profiles``: contact profiles, in the format that the caller prefers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, PathParameter, QueryParameter, RequestBody

from api.auth.principal import Principal, requires
from api.contact_profiles.formats import Format, choose_format
from api.contact_profiles.response_format import (
    Page,
    answer_entity,
    answer_page,
    answer_schema,
    documented,
    write_entity,
    write_page,
    write_schema,
)
from api.contact_profiles.schemas import (
    ENTITY,
    ChangedContactProfile,
    ContactProfilePage,
    ContactProfileSchema,
    ContactProfileView,
    Identifier,
    Merge,
    NewContactProfile,
    PersonBody,
    plain,
)
from api.contact_profiles.service import ContactProfileService
from api.http.areas import Injected
from api.http.cursors import CursorPagination, CursorParameter, Cursors
from api.http.errors import invalid
from api.http.openapi_responses import answers
from api.http.parameters import check_choice, clamp
from api.http.route_options import KEY_IN_QUERY
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault
from rapport.domain.profiles.contact import ID_PATTERN
from rapport.domain.profiles.contact_schema import describe_profile

DEFAULT_LIMIT: Final = 25
MAX_LIMIT: Final = 200
MOUNTS: Final = ("/new/v2.0", "/api/v2.0")
_CURSORS: Final = Cursors[str](Identifier)
_ACTIVITY: Final[Mapping[str, str]] = {"true": "active", "false": "inactive", "all": ""}
_OTHERS: Final = (Format.HAL, Format.XML, Format.TEXT_XML, Format.CSV)
_BASE: Final = f"{MOUNTS[0]}/profiles"
_HREF: Final = f"{_BASE}/{ENTITY['_id']}"
_PAGE: Final = Page(
    entities=[ENTITY],
    pagination=CursorPagination(total=1, limit=DEFAULT_LIMIT, has_more=False, next_cursor=None),
    base=_BASE,
    query={},
)
_ENTITY_OPERATION: Final = documented({one: write_entity(ENTITY, _HREF, one) for one in _OTHERS})
_PAGE_OPERATION: Final = documented({one: write_page(_PAGE, one) for one in _OTHERS})
_SCHEMA_OPERATION: Final = documented(
    {one: write_schema(describe_profile(), f"{_BASE}/schema/x", one) for one in _OTHERS}
)
_UNCHANGED: Final = {
    204: ResponseSpec(data_container=None, generate_examples=False, description="Done; send `Prefer` to see it.")
}


def _text(name: str, description: str) -> QueryParameter:
    return QueryParameter(name=name, description=description, max_length=255)


class ContactProfileController(Controller):
    """Contact profiles: a person's fields, contact ids and objections."""

    path = "/profiles"
    tags = ["Contact profiles"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "contact-profiles", KEY_IN_QUERY: True}
    security = [{"ApiKey": []}, {"Bearer": []}, {"ApiKeyInQuery": []}]

    @post(
        dto=PersonBody[NewContactProfile],
        return_dto=None,
        guards=[requires(Role.EDITOR)],
        summary="Create a contact profile",
        operation_class=_ENTITY_OPERATION,
        responses=answers(201, ContactProfileView, ENTITY, 406, 413, 415),
    )
    async def create_profile(
        self,
        request: Request[Principal, Any, Any],
        contact_profiles: Injected[ContactProfileService],
        data: RequestBody[NewContactProfile],
    ) -> Response[bytes]:
        """Create a profile, which may have fields of your own; numbers reach up to 2^53 - 1."""
        wanted = _format_of(request)
        created = await contact_profiles.create(request.user.tenant_id, request.user.key_id, data)
        href = f"{request.url.path.rstrip('/')}/{created.id}"
        return answer_entity(plain(created), href, wanted, status=201, headers={"Location": href})

    @get(
        summary="List contact profiles, the newest first",
        operation_class=_PAGE_OPERATION,
        responses=answers(200, ContactProfilePage, msgspec.json.decode(write_page(_PAGE, Format.JSON)), 406),
    )
    async def list_profiles(
        self,
        request: Request[Principal, Any, Any],
        contact_profiles: Injected[ContactProfileService],
        contact_id: Annotated[str | None, _text("contactId", "With this contact id.")] = None,
        email: Annotated[str | None, _text("email", "With this address, whatever its case.")] = None,
        project_id: Annotated[str | None, _text("projectId", "Created under this project.")] = None,
        active: Annotated[str | None, _text("active", "true (default), false, or all.")] = None,
        limit: Annotated[
            int, QueryParameter(description=f"Profiles of a page; brought into 1 to {MAX_LIMIT}.")
        ] = DEFAULT_LIMIT,
        cursor: CursorParameter = None,
    ) -> Response[bytes]:
        """List profiles; inactive ones only on request. The header `Link` names the next page in every format."""
        wanted = _format_of(request)
        faults: list[Fault] = []
        activity = _ACTIVITY[check_choice("active", active, tuple(_ACTIVITY), faults) or "true"]
        before_id = _CURSORS.read(cursor, faults) or ""
        if faults:
            raise invalid(*faults)
        size = clamp(limit, 1, MAX_LIMIT)
        filters = {"contact_id": contact_id, "email": email, "project_id": project_id}
        page = await contact_profiles.list(
            request.user.tenant_id,
            limit=size,
            before_id=before_id,
            filters={**{name: value or "" for name, value in filters.items()}, "activity": activity},
        )
        following = _CURSORS.write(page.profiles[-1].profile.id) if page.has_more else None
        given = {"contactId": contact_id, "email": email, "projectId": project_id, "active": active, "cursor": cursor}
        shown = Page(
            entities=[plain(one.profile) for one in page.profiles],
            pagination=CursorPagination(total=page.total, limit=size, has_more=page.has_more, next_cursor=following),
            base=request.url.path.rstrip("/"),
            query={"limit": str(size), **{name: value for name, value in given.items() if value}},
        )
        return answer_page(shown, wanted)

    @get(
        "/schema/{project_id:str}",
        summary="What contact profiles hold",
        operation_class=_SCHEMA_OPERATION,
        responses=answers(200, ContactProfileSchema, describe_profile(), 406),
    )
    async def get_schema(
        self,
        request: Request[Principal, Any, Any],
        project_id: Annotated[str, PathParameter(description="Any: all have one schema.", pattern=ID_PATTERN)],  # noqa: ARG002 - part of the contract
    ) -> Response[bytes]:
        """Get a JSON Schema of each part of a profile."""
        return answer_schema(describe_profile(), request.url.path, _format_of(request))

    @get(
        "/{profile_id:str}",
        summary="Get a contact profile",
        operation_class=_ENTITY_OPERATION,
        responses=answers(200, ContactProfileView, ENTITY, 404, 406),
    )
    async def get_profile(
        self,
        request: Request[Principal, Any, Any],
        contact_profiles: Injected[ContactProfileService],
        profile_id: FromPath[str],
    ) -> Response[bytes]:
        """Get a profile. Reading keeps it: a profile that nobody reads or changes for 30 days expires."""
        wanted = _format_of(request)
        found = await contact_profiles.get(request.user.tenant_id, profile_id)
        return answer_entity(plain(found), request.url.path, wanted)

    @patch(
        "/{profile_id:str}",
        dto=PersonBody[ChangedContactProfile],
        return_dto=None,
        guards=[requires(Role.EDITOR)],
        summary="Change a contact profile",
        operation_class=_ENTITY_OPERATION,
        responses={**answers(200, ContactProfileView, ENTITY, 404, 406, 409, 413, 415), **_UNCHANGED},
    )
    async def change_profile(
        self,
        request: Request[Principal, Any, Any],
        contact_profiles: Injected[ContactProfileService],
        profile_id: FromPath[str],
        data: RequestBody[ChangedContactProfile],
    ) -> Response[bytes] | Response[None]:
        """Change a profile; fields left out stay. 204, or 200 and the profile with `Prefer: return=representation`."""
        wanted = _format_of(request)
        user = request.user
        changed = await contact_profiles.patch(user.tenant_id, user.key_id, profile_id, data)
        if not _wants_to_see(request):
            return Response(None, status_code=204)
        headers = {"Preference-Applied": "return=representation"}
        return answer_entity(plain(changed), request.url.path, wanted, headers=headers)

    @delete(
        "/{profile_id:str}",
        guards=[requires(Role.EDITOR)],
        summary="Delete a contact profile",
        responses=answers(204, None, None, 404, 409),
    )
    async def delete_profile(
        self,
        request: Request[Principal, Any, Any],
        contact_profiles: Injected[ContactProfileService],
        profile_id: FromPath[str],
    ) -> None:
        """Delete a profile with all its data. Contact that it objected to is allowed again."""
        await contact_profiles.delete(request.user.tenant_id, request.user.key_id, profile_id)

    @post(
        "/{profile_id:str}/merge",
        dto=PersonBody[Merge],
        return_dto=None,
        status_code=200,
        guards=[requires(Role.EDITOR)],
        summary="Merge another contact profile into this one",
        operation_class=_ENTITY_OPERATION,
        responses=answers(200, ContactProfileView, ENTITY, 404, 406, 409, 413, 415),
    )
    async def merge_profiles(
        self,
        request: Request[Principal, Any, Any],
        contact_profiles: Injected[ContactProfileService],
        profile_id: FromPath[str],
        data: RequestBody[Merge],
    ) -> Response[bytes]:
        """Merge a profile: this one gets the other's contact ids, memories and objections; the other one ends."""
        wanted = _format_of(request)
        user = request.user
        merged = await contact_profiles.merge(user.tenant_id, user.key_id, profile_id, data.source_id)
        return answer_entity(plain(merged), request.url.path.removesuffix("/merge"), wanted)


def _format_of(request: Request[Principal, Any, Any]) -> Format:
    return choose_format(request.headers.getall("accept", []))


def _wants_to_see(request: Request[Principal, Any, Any]) -> bool:
    preferences = ",".join(request.headers.getall("prefer", [])).lower().split(",")
    return any(one.split(";")[0].replace(" ", "") == "return=representation" for one in preferences)
