"""Errors of the API, in one body: RFC 9457, and both shapes that clients of the documented product expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException

from api.http.allowed_methods import name_methods
from api.http.trace_id import current_trace_id
from rapport.domain.faults import Fault
from rapport.storage.errors import StorageError, TransientStorageError

log = structlog.get_logger(__name__)

PROBLEM_JSON: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2
"""What a client is told to wait when ClickHouse or Kafka is away."""

MAX_FAULTS: Final = 1_000
"""So many faults of a request are listed."""
MAX_TOLD: Final = 100
"""So many are in the one sentence that tells them."""
MAX_PATH: Final = 256
"""Characters of a path that an error repeats."""

CODES: Final[Mapping[int, str]] = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    408: "REQUEST_TIMEOUT",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
"""The code of a status where nothing more precise is known."""


class ErrorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The documented envelope."""

    code: str
    message: str
    status: int


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of every error.

    Attributes:
        type: Identifies the kind of problem; ends in the code.
        title: The status in words.
        status: The HTTP status.
        detail: The error in words, for a person.
        instance: The requested path, or its beginning.
        code: Stable; programs match on it.
        trace_id: Finds the request in the logs.
        details: All faults of the request, where there are several.
        error: The same in the documented envelope.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    trace_id: str
    details: Sequence[Fault]
    error: ErrorSummary


class ApiError(Exception):
    """Answer that is no success.

    Args:
        status: HTTP status.
        detail: The error in words, with the correct form; shown to the client.
        code: Stable code; by default the status's own.
        details: All faults, where there are several.
        headers: Sent along.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "",
        details: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or CODES[status]
        self.details = details
        self.headers = dict(headers or {})


def invalid(*faults: Fault) -> ApiError:
    """Make the answer to a request with faults: 400 that names them all, up to a thousand."""
    told = "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:MAX_TOLD])
    more = "; and more" if len(faults) > MAX_TOLD else ""
    return ApiError(400, told + more, details=faults[:MAX_FAULTS])


def unavailable(detail: str) -> ApiError:
    """Make the answer while a service the API needs is away: 503 with ``Retry-After``."""
    return ApiError(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def answer_api_error(request: Request[Any, Any, Any], error: ApiError) -> Response[ErrorBody]:
    """Answer an error of our own."""
    return _answer(request, error)


def answer_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[ErrorBody]:
    """Answer an error of the framework: unknown routes, wrong methods, unreadable parameters."""
    status = error.status_code if error.status_code in CODES else 400 if error.status_code < 500 else 500
    headers = dict(error.headers or {})
    if isinstance(error, ValidationException):
        return _answer(request, _invalid_parameters(request, error))
    if status == 404:
        detail = f"There is nothing at {request.method} {_shorten_path(request)}."
        return _answer(request, ApiError(404, detail, headers=headers))
    if status == 405:
        headers = {"Allow": name_methods((headers.get("Allow") or headers.get("allow") or "").split(", "))}
        detail = f"{request.method} is not allowed here; allowed is {headers['Allow']}."
        return _answer(request, ApiError(405, detail, headers=headers))
    if status >= 500:
        return answer_unexpected(request, error)
    return _answer(request, ApiError(status, error.detail or HTTPStatus(status).phrase, headers=headers))


def answer_serialization_error(request: Request[Any, Any, Any], error: SerializationException) -> Response[ErrorBody]:
    """Answer a body that is no JSON."""
    return _answer(request, ApiError(400, f"The body is not readable: {error}"))


def answer_storage_error(request: Request[Any, Any, Any], error: StorageError) -> Response[ErrorBody]:
    """Answer an error of the database: unavailable (503) or refused (500). Its text is only logged."""
    if isinstance(error, TransientStorageError):
        log.warning("storage is away", error=str(error))
        return _answer(request, unavailable("The database does not answer at the moment; try again shortly."))
    return answer_unexpected(request, error)


def answer_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[ErrorBody]:
    """Answer a fault of ours: nothing of it is shown, all of it is logged."""
    log.error("request failed", exc_info=error)
    return _answer(request, ApiError(500, f"An internal error; it is in the logs under trace {current_trace_id()}."))


EXCEPTION_HANDLERS: Final[Mapping[Any, Any]] = {
    ApiError: answer_api_error,
    HTTPException: answer_http_exception,
    SerializationException: answer_serialization_error,
    StorageError: answer_storage_error,
    Exception: answer_unexpected,
}


def build_body(error: ApiError, path: str) -> ErrorBody:
    """Build the body of an error that a request to a path met."""
    return ErrorBody(
        type=f"urn:rapport:problem:{error.code.lower().replace('_', '-')}",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        instance=path,
        code=error.code,
        trace_id=current_trace_id(),
        details=error.details,
        error=ErrorSummary(code=error.code, message=error.detail, status=error.status),
    )


def _shorten_path(request: Request[Any, Any, Any]) -> str:
    """Return the requested path, cut where it is too long to be repeated."""
    path = request.url.path
    return path if len(path) <= MAX_PATH else f"{path[:MAX_PATH]}…"


def _answer(request: Request[Any, Any, Any], error: ApiError) -> Response[ErrorBody]:
    headers = {name: value for name, value in error.headers.items() if name.lower() != "content-type"}
    return Response(
        build_body(error, _shorten_path(request)), status_code=error.status, headers=headers, media_type=PROBLEM_JSON
    )


def _invalid_parameters(request: Request[Any, Any, Any], error: ValidationException) -> ApiError:
    """Name all parameters that are wrong; the framework lists them as dictionaries with key and message."""
    if isinstance(error.__cause__, KeyError):  # the framework looked a required one up
        return invalid(Fault(field=str(error.__cause__.args[0]), message="is required"))
    extra = error.extra if isinstance(error.extra, list) else []
    faults = [
        _name_fault(request, str(cast("dict[str, Any]", one).get("key", "")), str(one.get("message", "is wrong")))
        for one in extra
        if isinstance(one, dict)
    ]
    return invalid(*faults) if faults else ApiError(400, error.detail)


def _name_fault(request: Request[Any, Any, Any], key: str, message: str) -> Fault:
    """Name a faulty parameter as the client does: the framework may name the handler's argument instead."""
    if key == "data":
        return Fault(field="body", message="is required")
    argument = request.route_handler.parsed_fn_signature.parameters.get(key)
    return Fault(field=getattr(argument and argument.kwarg_definition, "name", None) or key, message=message)
