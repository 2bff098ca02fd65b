"""How the items of a stream get from the task that makes them to their reader."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from diator.middlewares.base import Handle
    from diator.requests.request import StreamRequest


class Stream:
    """
    A stream request on its way, and the reader who waits for its items.

    Args:
        request: What the handler answers.

    """

    def __init__(self, request: StreamRequest[Any]) -> None:
        loop = asyncio.get_running_loop()
        self.request = request
        self.closed = False
        self.item: asyncio.Future[tuple[Any] | None] = loop.create_future()
        self._asked: asyncio.Future[None] = loop.create_future()

    def unless_closed(self, handle: Handle) -> Handle:
        """Let no middleware succeed that swallows the cancellation of a closed one."""

        async def handle_unless_closed(request: Any) -> Any:
            answer = await handle(request)
            self.check_open()
            return answer

        return handle_unless_closed

    def check_open(self) -> None:
        """Go on with the cancellation of a closed one, which somebody swallowed."""
        if self.closed:
            raise asyncio.CancelledError

    async def put(self, item: Any) -> None:
        """Give the reader an item, and wait until the one after is asked for."""
        if self.item.done():
            # A middleware tries again, before the reader has asked for more.
            await asyncio.shield(self._asked)
        self.item.set_result((item,))
        # Shielded, because a deadline in a middleware may pass while the reader reads.
        await asyncio.shield(self._asked)

    def ask(self, task: asyncio.Task[Any]) -> None:
        """Let the task go on to the next item."""
        loop = asyncio.get_running_loop()
        asked = self._asked
        self.item = loop.create_future()
        self._asked = loop.create_future()
        asked.set_result(None)
        if task.done():
            self.end(task)

    def end(self, _task: asyncio.Task[Any]) -> None:
        """Tell the reader that there are no more items."""
        if not self.item.done():
            self.item.set_result(None)


async def stream_items(
    send: Callable[[Any], Coroutine[Any, Any, Any]], request: StreamRequest[Any]
) -> AsyncGenerator[Any]:
    """
    Read items while a task sends the request for them through its chain.

    In its reader's context, where an async generator runs, the events and the scope of
    the stream would mix with those of the reader's own sends, and a timeout in a
    middleware would hit the reader's code. Hence the task. It never runs ahead: it
    goes on when the next item is asked for. Leaving early cancels it, and waits for
    its end.

    Args:
        send: Takes the `Stream` through the chain.
        request: What the handler answers.

    """
    stream = Stream(request)
    task = asyncio.get_running_loop().create_task(send(stream))
    task.add_done_callback(stream.end)
    try:
        # Shielded, because the task may be about to give an item to a cancelled reader.
        while found := await asyncio.shield(stream.item):
            yield found[0]
            stream.ask(task)
        await task
    except BaseException as reason:
        stream.closed = True
        task.cancel()
        while not task.done():
            # Not even a second cancellation leaves it running.
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if isinstance(reason, GeneratorExit) and not task.cancelled():
            # A rollback that failed is for who closes the stream to know.
            task.result()
        raise
    finally:
        if task.done() and not task.cancelled():
            # Else asyncio reports what nobody asked for.
            task.exception()
