"""Isolation of profile sections from other packages: their loaders run in threads of their own, with a time limit.

A thread cannot be ended from outside. A loader that hangs keeps its thread, and once :data:`MAX_RUNNING` threads of a
section hang, the section is not loaded again until one of them returns.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

if TYPE_CHECKING:
    from rapport.application.profiles.sections import Section, SectionContext

MAX_RUNNING: Final = 8
"""Simultaneous calls of one section."""


class BusyError(Exception):
    """Too many earlier calls of the section have not returned yet."""


class UnfitDataError(Exception):
    """Data of a section does not fit its schema; the text says where."""


class IsolatedSection:
    """A section that is called from an event loop, but runs in a thread."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self._free = threading.Semaphore(MAX_RUNNING)

    async def load(self, context: SectionContext) -> Sequence[Any]:
        """Load the items as plain JSON values.

        Cancelling this, as a time limit does, does not end the call in the thread.

        Raises:
            BusyError: The section was not called.
            UnfitDataError: The data does not fit the schema.
            Exception: Any exception of the section.
        """
        if not self._free.acquire(blocking=False):
            raise BusyError
        done: Future[Sequence[Any]] = Future()
        name = f"profile-section-{self.section.name}"
        # a daemon, so that a hanging thread does not keep the process from ending
        thread = threading.Thread(target=self._run, args=(context, done), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no more threads
            self._free.release()
            raise BusyError from None
        return await asyncio.wrap_future(done)

    def _run(self, context: SectionContext, done: Future[Sequence[Any]]) -> None:
        try:
            items = load_as_json(self.section, context)
        except Exception as error:  # noqa: BLE001 - passed to the caller
            with suppress(InvalidStateError):  # the caller was cancelled
                done.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - sys.exit() in a loader is a fault like others
            with suppress(InvalidStateError):
                done.set_exception(RuntimeError(repr(error)))
        else:
            with suppress(InvalidStateError):
                done.set_result(items)
        finally:
            self._free.release()


def load_as_json(section: Section, context: SectionContext) -> Sequence[Any]:
    """Load the items of a section in this thread, as plain JSON values.

    Raises:
        UnfitDataError: The items do not fit the section's schema, or are not JSON.
        Exception: Any exception of the section.
    """
    loaded = section.load(context)
    if inspect.iscoroutine(loaded):
        loaded = asyncio.run(cast("Coroutine[Any, Any, Sequence[Any]]", loaded))
    try:
        plain = msgspec.json.decode(msgspec.json.encode(loaded), type=list[Any])
        msgspec.convert(plain, list[section.schema])  # type: ignore[name-defined]
    except (TypeError, ValueError, RecursionError) as error:  # errors of msgspec are ValueErrors
        raise UnfitDataError(str(error)) from error
    return plain
