"""ClickHouse's HTTP sessions: one handle kept between the requests that name the same `session_id`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rapport.embedded.clickhouse.engine_errors import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from rapport.embedded.clickhouse.handles import Handle


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """Session parameters of a request.

    Attributes:
        session_id: The client's name for it.
        timeout_seconds: Time it is kept after this request.
        must_exist: ``session_check=1``: do not create it.
        close_after: ``close_session=1``: end it with this request.
    """

    session_id: str
    timeout_seconds: float = 60.0
    must_exist: bool = False
    close_after: bool = False


@dataclass(slots=True)
class Session:
    """A session; only the request that holds it may use it.

    Attributes:
        handle: Its handle, opened by its first request.
    """

    handle: Handle | None = None
    is_held: bool = False
    expiry: asyncio.TimerHandle | None = field(default=None, repr=False)


class Sessions:
    """All sessions. To be called on the event loop only, which is why it needs no locks.

    Args:
        dispose: Closes a handle, without blocking the event loop.
    """

    def __init__(self, dispose: Callable[[Handle], object]) -> None:
        self._dispose = dispose
        self._sessions: dict[str, Session] = {}

    def acquire(self, request: SessionRequest) -> Session:
        """Take a session for one request.

        Raises:
            EngineError: 372 when it does not exist and must, 373 when another request holds it.
        """
        session = self._sessions.get(request.session_id)
        if session is None:
            if request.must_exist:
                raise refuse(372, f"Session {request.session_id} not found")
            session = self._sessions[request.session_id] = Session()
        if session.is_held:
            raise refuse(373, f"Session {request.session_id} is locked by a concurrent client")
        if session.expiry is not None:
            session.expiry.cancel()
        session.is_held = True
        return session

    def release(self, request: SessionRequest, session: Session) -> None:
        """Give a session back."""
        session.is_held = False
        if request.close_after or session.handle is None:
            self._end(request.session_id)
            return
        loop = asyncio.get_running_loop()
        session.expiry = loop.call_later(request.timeout_seconds, self._end, request.session_id)

    def close(self) -> None:
        """End every session that no request holds."""
        for session_id in [name for name, session in self._sessions.items() if not session.is_held]:
            self._end(session_id)

    def _end(self, session_id: str) -> None:
        session = self._sessions.pop(session_id, None)
        if session is None:
            return
        if session.expiry is not None:
            session.expiry.cancel()
        if session.handle is not None:
            self._dispose(session.handle)
