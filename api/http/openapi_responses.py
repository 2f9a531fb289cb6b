"""Answers in the OpenAPI document: an example of each, and the errors a route can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from api.http.errors import CODES, ApiError, ErrorBody, build_body

if TYPE_CHECKING:
    from collections.abc import Mapping

_MEANINGS: Final = {
    400: "The request is wrong; `details` names every fault.",
    401: "No valid API key.",
    403: "The key's role, scope or tenant does not allow it.",
    404: "Not found, or it belongs to another tenant.",
    406: "`Accept` names nothing that is available; `details` says what is.",
    409: "It contradicts what is already there; `code` says how.",
    413: "The body is too large.",
    415: "The body's media type is not supported.",
    429: "Too many requests; see `Retry-After`.",
    503: "ClickHouse or Kafka is away; see `Retry-After`.",
}
ALWAYS: Final = (400, 401, 403, 429, 503)
"""What every route with a key can answer."""


def answers(
    status: int, body: type[Any] | None, example: object, *errors: int, otherwise: type[Any] | None = None
) -> Mapping[int, ResponseSpec]:
    """Describe a route's answers for ``responses=``.

    Args:
        status: The success.
        body: Its type; None for an empty one.
        example: Of that body; it must fit the type.
        errors: Statuses beyond :data:`ALWAYS`.
        otherwise: Another type that the body may have instead.
    """
    # As a value of its type: the framework leaves what is null out of dictionaries.
    examples = [] if example is None else [Example(summary="Example", value=msgspec.convert(example, body))]
    shape: Any = body | otherwise if body is not None and otherwise is not None else body
    success = {
        status: ResponseSpec(data_container=shape, examples=examples, generate_examples=False, description="Done.")
    }
    return success | {error: _error(error) for error in sorted({*ALWAYS, *errors})}


def _error(status: int) -> ResponseSpec:
    body = build_body(ApiError(status, _MEANINGS[status]), "/api/v1/…")
    return ResponseSpec(
        data_container=ErrorBody,
        description=_MEANINGS[status],
        generate_examples=False,
        examples=[Example(summary=CODES[status], value=body)],
        media_type="application/problem+json",
    )
