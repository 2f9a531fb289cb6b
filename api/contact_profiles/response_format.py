"""Answers in the format that the caller wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import Response
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, Schema

from api.contact_profiles.csv_format import to_csv
from api.contact_profiles.formats import Format
from api.contact_profiles.xml_format import to_xml

if TYPE_CHECKING:
    from api.http.cursors import CursorPagination

_VARY: Final = {"Vary": "Accept"}
_XML: Final = (Format.XML, Format.TEXT_XML)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Page of profiles to be written.

    Attributes:
        base: The path of the list; the entities lie below it.
        query: Of the request, as far as it chooses what is listed: links repeat it.
    """

    entities: Sequence[Mapping[str, Any]]
    pagination: CursorPagination
    base: str
    query: Mapping[str, str]

    @property
    def next_href(self) -> str | None:
        """Link to the next page; None on the last one."""
        cursor = self.pagination.next_cursor
        return None if cursor is None else self._href(**{**self.query, "cursor": cursor})

    @property
    def self_href(self) -> str:
        """Link to this page."""
        return self._href(**self.query)

    def _href(self, **query: str) -> str:
        return f"{self.base}?{urlencode(query)}" if query else self.base


def answer_entity(
    entity: Mapping[str, Any], href: str, wanted: Format, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """Answer one profile, which lies at ``href``."""
    return _response(write_entity(entity, href, wanted), wanted, status, headers or {})


def answer_page(page: Page, wanted: Format) -> Response[bytes]:
    """Answer a list. Where the next page is, a header says too: CSV has no other place for it."""
    headers = {} if page.next_href is None else {"Link": f'<{page.next_href}>; rel="next"'}
    return _response(write_page(page, wanted), wanted, 200, headers)


def answer_schema(schema: Mapping[str, Any], href: str, wanted: Format) -> Response[bytes]:
    """Answer the schema of profiles."""
    return _response(write_schema(schema, href, wanted), wanted, 200, {})


def write_entity(entity: Mapping[str, Any], href: str, wanted: Format) -> bytes:
    """Write one profile."""
    if wanted is Format.CSV:
        return to_csv([entity])
    if wanted in _XML:
        return to_xml("contactProfile", entity)
    return msgspec.json.encode(_linked(entity, href) if wanted is Format.HAL else entity)


def write_page(page: Page, wanted: Format) -> bytes:
    """Write a list of profiles."""
    if wanted is Format.CSV:
        return to_csv(page.entities)
    if wanted is Format.HAL:
        links = {"self": {"href": page.self_href}}
        if page.next_href is not None:
            links["next"] = {"href": page.next_href}
        embedded = [_linked(entity, f"{page.base}/{entity['_id']}") for entity in page.entities]
        return msgspec.json.encode(
            {"_links": links, "_embedded": {"profiles": embedded}, "pagination": page.pagination}
        )
    plain = {"data": page.entities, "pagination": msgspec.to_builtins(page.pagination)}
    return to_xml("contactProfiles", plain) if wanted in _XML else msgspec.json.encode(plain)


def write_schema(schema: Mapping[str, Any], href: str, wanted: Format) -> bytes:
    """Write the schema of profiles."""
    if wanted is Format.CSV:
        return to_csv([schema], columns=("active", "contactIds"))
    if wanted in _XML:
        return to_xml("contactProfileSchema", schema)
    return msgspec.json.encode(_linked(schema, href) if wanted is Format.HAL else schema)


def documented(written: Mapping[Format, bytes]) -> type[Operation]:
    """Make an operation whose success has, beside JSON, the other formats with their examples."""

    @dataclass
    class NegotiatedOperation(Operation):
        def __post_init__(self) -> None:
            for status, response in (self.responses or {}).items():
                content = getattr(response, "content", None)
                if status.startswith("2") and content:
                    content |= {str(wanted): _content(wanted, text) for wanted, text in written.items()}

    return NegotiatedOperation


def _content(wanted: Format, text: bytes) -> OpenAPIMediaType:
    is_object = wanted is Format.HAL
    value = msgspec.json.decode(text) if is_object else text.decode()
    kind = OpenAPIType.OBJECT if is_object else OpenAPIType.STRING
    return OpenAPIMediaType(schema=Schema(type=kind), examples={"Example": Example(summary="Example", value=value)})


def _linked(entity: Mapping[str, Any], href: str) -> dict[str, Any]:
    return {**entity, "_links": {"self": {"href": href}}}


def _response(body: bytes, wanted: Format, status: int, headers: Mapping[str, str]) -> Response[bytes]:
    return Response(body, status_code=status, media_type=wanted.value, headers={**_VARY, **headers})
