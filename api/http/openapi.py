"""The OpenAPI document and its viewer, which needs no address but ours."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response, Router, get
from litestar.datastructures import ResponseHeader
from litestar.enums import OpenAPIMediaType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.params import FromPath

from api.http.errors import ApiError
from api.http.route_options import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Request
    from litestar.handlers import HTTPRouteHandler

_LIBRARY: Final = {"swagger_bundle.js": "text/javascript", "swagger_style.css": "text/css"}
"""What Swagger UI consists of; the package offapi brings it along."""
_START: Final = """
SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#viewer",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,  // the default sends the document's address to a server on the internet
});
"""
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Rapport API</title>
    <link rel=icon href=data:,>
    <link rel="stylesheet" href="/docs/assets/swagger_style.css">
  </head>
  <body>
    <div id="viewer"></div>
    <script src="/docs/assets/swagger_bundle.js"></script>
    <script src="/docs/assets/start.js"></script>
  </body>
</html>
"""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Browsers then load nothing from anywhere else, whatever the viewer may ask for."""
_DESCRIPTION: Final = """
What happened with a customer so far, and a way to say what happens next.

Every answer carries `X-Trace-Id`; reads carry `X-Data-Lag-Ms` (how old they may be), writes `X-Position`. Send that
position as `X-Min-Position` to read your own write. Errors share one body (`ErrorBody`).
"""
_TAGS: Final = {
    "Writing": "What customers did. Acknowledged once Kafka has it; counts once, however often it is sent.",
    "Reading": "History and summaries, exact to the event.",
    "Deciding": "What to show a customer next.",
    "Customers": "What is known of a customer.",
    "Segments": "Who belongs together, and who belongs to them now.",
    "Journeys": "What happens with a customer step by step, and who is on the way.",
    "Experiments": "What variants and creatives achieved.",
    "Behavioral metrics": "Values worked out from a customer's history.",
    "Configuration": "What outcomes mean.",
    "Catalogue": "What there is to offer, and by which rules.",
    "Contact profiles": "What is kept of a person, and what that person lets be done.",
    "API keys": "Who may ask.",
    "Privacy": "Erasing a customer, and what is known of it afterwards.",
    "Audit": "Who changed what.",
    "Operation": "For load balancers and monitors; no key is needed.",
}
"""In the order in which the viewer shows them."""


class _Viewer(OpenAPIRenderPlugin):
    """Swagger UI; a page without inline scripts, so that the policy can forbid them."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 - the framework's signature
        return _PAGE.encode()


class _Document(OpenAPIRenderPlugin):
    """The document, rendered once: rendering takes long, and needs no key."""

    def __init__(self, path: str, media_type: OpenAPIMediaType, write: Callable[[bytes], bytes]) -> None:
        super().__init__(path=path, media_type=media_type)
        self._write = write
        self._text = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if not self._text:
            self._text = self._write(_drop_shared_defaults(self.render_json(request, openapi_schema)))
        return self._text


def openapi_config() -> OpenAPIConfig:
    """Configure the documents ``/docs``, ``/docs/openapi.json`` and ``/docs/openapi.yaml``."""
    return OpenAPIConfig(
        title="Rapport",
        version=version("rapport"),
        description=_DESCRIPTION.strip(),
        openapi_router=Router(
            "/docs",
            route_handlers=[],
            opt={PUBLIC: True},
            include_in_schema=False,
            response_headers=[ResponseHeader(name="Content-Security-Policy", value=_POLICY)],
        ),
        use_handler_docstrings=True,
        tags=[Tag(name=name, description=description) for name, description in _TAGS.items()],
        security=[{"ApiKey": []}, {"Bearer": []}],
        components=Components(
            security_schemes={
                "ApiKey": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
                "Bearer": SecurityScheme(type="http", scheme="bearer"),
                "ApiKeyInQuery": SecurityScheme(type="apiKey", name="api_key", security_scheme_in="query"),
            }
        ),
        render_plugins=[
            _Viewer(path="/"),
            _Document("/openapi.json", OpenAPIMediaType.OPENAPI_JSON, bytes),
            _Document("/openapi.yaml", OpenAPIMediaType.OPENAPI_YAML, _yaml_of),
        ],
    )


def _drop_shared_defaults(text: bytes) -> bytes:
    """Drop the defaults of enumerations: each is that of one of the fields with that type, whichever came first."""
    document = msgspec.json.decode(text)
    for schema in document["components"]["schemas"].values():
        if "enum" in schema:
            schema.pop("default", None)
    return msgspec.json.encode(document)


def _yaml_of(text: bytes) -> bytes:
    return msgspec.yaml.encode(msgspec.json.decode(text))


def asset_routes() -> list[HTTPRouteHandler]:
    """Make the routes of the viewer's own files."""

    @get("/docs/assets/{name:str}", include_in_schema=False, opt={PUBLIC: True}, sync_to_thread=True)
    def asset(name: FromPath[str]) -> Response[bytes]:
        """Serve one of them."""
        if name == "start.js":
            return Response(_START.encode(), media_type="text/javascript")
        if name not in _LIBRARY:
            raise ApiError(404, f"There is no file {name!r}.")
        content = (files("offapi") / name).read_bytes()
        return Response(content, media_type=_LIBRARY[name], headers={"Cache-Control": "public, max-age=86400"})

    return [asset]
