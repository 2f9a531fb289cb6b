"""Redis client that sends the commands of concurrent requests together."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

MAX_COMMANDS: Final = 256
"""Commands that are sent together."""
MAX_UNDER_WAY: Final = 2
"""Groups of commands that are under way at the same time; commands that arrive meanwhile go into the next."""


class _Command(NamedTuple):
    """A command, the library's options for its answer, and who waits for it."""

    args: tuple[Any, ...]
    options: dict[str, Any]
    answer: asyncio.Future[Any]


class CoalescingRedis(Redis):
    """Client of one server whose commands wait for nothing but the ones that are under way, and then go as one.

    A command of its own costs the event loop several times what it costs the server: a connection is taken, written,
    read and given back. Most of that is shared here by all commands that are due at the same moment. So is the limit
    of time, because the library's own, for each write and each answer, costs a task or a timer.

    Attributes:
        answer_s: How long answers are waited for, seconds; instead of the library's ``socket_timeout``.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as in the library
        super().__init__(*args, **options)
        self.answer_s = 0.5
        self._waiting: list[_Command] = []
        self._running: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - as in the library
        """Close the connections once the commands that are under way have their answers; later ones are refused."""
        self._is_closed = True
        waiting = [command.answer for command in self._waiting]
        await asyncio.gather(*self._running, *waiting, return_exceptions=True)
        await super().aclose(close_connection_pool)

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as in the library
        """Execute one command.

        Raises:
            RedisError: The server does not answer, or refuses; or the client is closed.
        """
        if self._is_closed:
            raise RedisConnectionError("the client is closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start)
        self._waiting.append(_Command(args, options, answer))
        return await answer

    def _start(self) -> None:
        while self._waiting and len(self._running) < MAX_UNDER_WAY:
            batch, self._waiting = self._waiting[:MAX_COMMANDS], self._waiting[MAX_COMMANDS:]
            task = asyncio.create_task(self._send(batch))
            self._running.add(task)
            task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _send(self, batch: list[_Command]) -> None:
        answers: list[Any]
        try:
            async with asyncio.timeout(self.answer_s):
                answers = await self._exchange(batch)
        except TimeoutError:
            answers = [RedisTimeoutError(f"no answer within {self.answer_s} s")] * len(batch)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            answers = [error] * len(batch)
        for command, answer in zip(batch, answers, strict=True):
            if command.answer.done():
                continue
            if isinstance(answer, Exception):
                command.answer.set_exception(answer)
            else:
                command.answer.set_result(answer)

    async def _exchange(self, batch: list[_Command]) -> list[Any]:
        pool: Any = self.connection_pool
        connection = await pool.get_connection()
        answers: list[Any] = []
        try:
            await connection.send_packed_command([_pack(command.args) for command in batch], check_health=False)
            for args, options, _ in batch:
                try:
                    answers.append(await self.parse_response(connection, args[0], **options))
                except ResponseError as error:
                    answers.append(error)
            if any(isinstance(answer, ReadOnlyError) for answer in answers):
                await connection.disconnect(nowait=True)  # a replica now: the next connection finds the primary
        except BaseException:
            await connection.disconnect(nowait=True)  # answers that are still to come are nobody else's
            raise
        finally:
            await pool.release(connection)
        return answers


def _pack(args: tuple[Any, ...]) -> bytes:
    """Pack a command; the library names some by two words, which the server expects apart."""
    name, *values = args
    is_two_words = isinstance(name, str) and " " in name
    packed: bytes = pack_command((*name.split(), *values) if is_two_words else args)
    return packed
