"""The OpenAPI document and its viewer, which needs no address but ours."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from litestar import Response, Router, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath

from api.auth.authentication import PUBLIC
from api.errors import ApiError

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

_ASSETS: Final = {
    "swagger_bundle.js": "text/javascript",
    "swagger_preset.js": "text/javascript",
    "swagger_style.css": "text/css",
}
_DESCRIPTION: Final = """
What happened with a customer so far, and a way to say what happens next.

Every answer carries `X-Trace-Id`; reads carry `X-Data-Lag-Ms` (how old they may be), writes `X-Position`. Send that
position as `X-Min-Position` to read your own write. Errors share one body (`ErrorBody`).
"""


def openapi_config() -> OpenAPIConfig:
    """How the API is described: ``/docs``, ``/docs/openapi.json``, ``/docs/openapi.yaml``."""
    return OpenAPIConfig(
        title="Rapport",
        version=version("rapport"),
        description=_DESCRIPTION.strip(),
        openapi_router=Router("/docs", route_handlers=[], opt={PUBLIC: True}),
        use_handler_docstrings=True,
        security=[{"ApiKey": []}, {"Bearer": []}],
        components=Components(
            security_schemes={
                "ApiKey": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
                "Bearer": SecurityScheme(type="http", scheme="bearer"),
            }
        ),
        render_plugins=[
            SwaggerRenderPlugin(
                path="/",
                js_url="/docs/assets/swagger_bundle.js",
                css_url="/docs/assets/swagger_style.css",
                standalone_preset_js_url="/docs/assets/swagger_preset.js",
                favicon="",
            ),
            JsonRenderPlugin(path="/openapi.json"),
            YamlRenderPlugin(path="/openapi.yaml"),
        ],
    )


def asset_routes() -> list[HTTPRouteHandler]:
    """The viewer's own files."""

    @get("/docs/assets/{name:str}", include_in_schema=False, opt={PUBLIC: True}, sync_to_thread=True)
    def asset(name: FromPath[str]) -> Response[bytes]:
        """Serve one of them."""
        if name not in _ASSETS:
            raise ApiError(404, f"There is no file {name!r}.")
        content = (files("offapi") / name).read_bytes()
        return Response(content, media_type=_ASSETS[name], headers={"Cache-Control": "public, max-age=86400"})

    return [asset]
