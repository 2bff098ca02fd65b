"""Tell the end of a task from that of something that it waits for."""

from __future__ import annotations

import asyncio


def raise_if_cancelled(error: BaseException) -> None:
    """
    Raise an error again if it says that the running task is to end.

    A `CancelledError` may come from what is awaited as well, such as the future of a
    library that has closed its connection. That is a failure like others, and must not
    end what goes on for ever.

    Args:
        error: What was caught.

    """
    task = asyncio.current_task()
    is_cancellation = isinstance(error, asyncio.CancelledError)
    if is_cancellation and task is not None and task.cancelling():
        raise error
