"""Loads sections in parallel, each by itself: one that fails or is slow is reported, and the others are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from api.http.trace_id import current_trace_id
from api.unified_profile.schemas import SectionError
from rapport.application.profiles.isolation import BusyError, UnfitDataError
from rapport.storage.errors import TransientStorageError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileQuery:
    """Customer and time of a profile.

    Attributes:
        customer_id: As in the request.
        customer_ids: All ids of the same person, that one included.
        now_ms: When the profile is made, epoch milliseconds.
    """

    tenant_id: str
    customer_id: str
    customer_ids: tuple[str, ...]
    now_ms: int


Load = Callable[[ProfileQuery], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class SectionResult:
    """Section, or the reason why it is missing."""

    name: str
    value: Any
    error: SectionError | None


async def load_sections(loads: Mapping[str, Load], query: ProfileQuery, limit_s: float) -> Sequence[SectionResult]:
    """Load sections, in the order of ``loads``.

    Args:
        loads: Loaders by section name.
        query: Customer and time.
        limit_s: Time limit of each section, in seconds.
    """
    return await asyncio.gather(*(_load(name, load, query, limit_s) for name, load in loads.items()))


async def _load(name: str, load: Load, query: ProfileQuery, limit_s: float) -> SectionResult:
    try:
        return SectionResult(name, await asyncio.wait_for(load(query), limit_s), None)
    except TimeoutError:
        error = SectionError(code="TIMEOUT", message=f"It was not there within {limit_s:g} s.")
    except TransientStorageError as fault:
        log.warning("storage is away", section=name, error=str(fault))
        error = SectionError(code="UNAVAILABLE", message="The database does not answer at the moment.")
    except BusyError:
        error = SectionError(code="BUSY", message="Too many earlier requests of it have not come back yet.")
    except UnfitDataError as fault:
        log.warning("a profile section does not fit its schema", section=name, error=str(fault))
        error = SectionError(code="INVALID_DATA", message="Its data does not fit its schema.")
    except Exception:  # whatever it is, the other sections are there
        log.exception("a profile section failed", section=name)
        trace_id = current_trace_id()
        error = SectionError(code="FAILED", message=f"An internal error; it is in the logs under trace {trace_id}.")
    return SectionResult(name, None, error)
