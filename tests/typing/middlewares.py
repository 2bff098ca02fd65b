# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
What is a middleware.

Checked, never run. Each `# type: ignore` states an error; mypy and pyright report one
that they do not find.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from diator import (
    Command,
    EventEmitter,
    Handle,
    Mediator,
    Middleware,
    MiddlewareChain,
    NotificationEvent,
    Query,
    Request,
)
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.transaction import TransactionMiddleware

Res = TypeVar("Res")


class CountUsers(Query[int]):
    pass


class Settings:
    pass


class Plain:
    async def __call__(self, request: Any, handle: Handle) -> Any:
        return await handle(request)


class OtherNames:
    async def __call__(self, message: object, call_next: Handle) -> object:
        return await call_next(message)


class Injected:
    def __init__(self, settings: Settings, *, attempts: int = 3) -> None:
        self.settings = settings
        self.attempts = attempts

    async def __call__(self, request: Any, handle: Handle) -> Any:
        return await handle(request)


class Caching:
    async def __call__(
        self, request: CountUsers, handle: Callable[[CountUsers], Awaitable[int]]
    ) -> int:
        return await handle(request)


class Generic:
    async def __call__(
        self, request: Request[Res], handle: Callable[[Request[Res]], Awaitable[Res]]
    ) -> Res:
        return await handle(request)


class WithMore:
    async def __call__(self, request: Any, handle: Handle, *, attempts: int = 3) -> Any:
        return await handle(request)


async def plain(request: Any, handle: Handle) -> Any:
    return await handle(request)


async def event_logging(event: object, handle: Handle, /) -> None:
    await handle(event)


async def generic(
    request: Request[Res], handle: Callable[[Request[Res]], Awaitable[Res]]
) -> Res:
    return await handle(request)


def made(attempts: int) -> Middleware:
    async def retry(request: Any, handle: Handle) -> Any:
        return await handle(request) if attempts else None

    return retry


def is_query(message_type: type[Any]) -> bool:
    return issubclass(message_type, Query)


def instances(mediator: Mediator) -> None:
    mediator.use(Plain())
    mediator.use(OtherNames())
    mediator.use(Injected(Settings(), attempts=2))
    mediator.use(Caching())
    mediator.use(Generic())
    mediator.use(WithMore())
    mediator.use(EventCollectionMiddleware(mediator.event_emitter))


def functions(mediator: Mediator) -> None:
    mediator.use(plain)
    mediator.use(generic)
    mediator.use(made(attempts=3))
    mediator.use(Injected(Settings()).__call__)


def classes_for_the_container_to_build(mediator: Mediator) -> None:
    mediator.use(Plain)
    mediator.use(OtherNames)
    mediator.use(Injected)
    mediator.use(Caching)
    mediator.use(Generic)
    mediator.use(TransactionMiddleware)


def some_messages_only(mediator: Mediator) -> None:
    mediator.use(plain, only=Command)
    mediator.use(Caching, only=CountUsers)
    mediator.use(plain, only=(Command, CountUsers))
    mediator.use(plain, only=is_query)
    mediator.use(plain, only=lambda message_type: issubclass(message_type, Query))
    mediator.use(plain, only=lambda message_type: message_type.__name__ != "CountUsers")
    mediator.use(plain, only="CountUsers")  # type: ignore[arg-type]  # no type
    mediator.use(plain, only=CountUsers())  # type: ignore[arg-type]  # no type
    mediator.use(plain, only=[Command])  # type: ignore[arg-type]  # no tuple
    mediator.use(plain, only=(Command, "CountUsers"))  # type: ignore[arg-type]  # no type


def around_events(emitter: EventEmitter) -> None:
    emitter.use(Plain)
    emitter.use(event_logging, only=NotificationEvent)
    emitter.use(Nothing())  # type: ignore[arg-type]  # cannot be called


def chains(chain: MiddlewareChain) -> None:
    chain.add(plain)
    chain.add(Injected, only=Command)
    chain.set([Plain(), Injected, plain])
    chain.add(Nothing())  # type: ignore[arg-type]  # cannot be called
    chain.set([Plain(), 1])  # type: ignore[list-item]  # cannot be called


class Nothing:
    pass


class Blocking:
    def __call__(self, request: Any, handle: Handle) -> int:
        return 1


class NotAsync:
    def __call__(self, request: Any, handle: Handle) -> Awaitable[Any]:
        return handle(request)


class WithoutHandle:
    async def __call__(self, request: Any) -> Any:
        return request


class WantsMore:
    async def __call__(self, request: Any, handle: Handle, attempts: int) -> Any:
        return await handle(request) if attempts else None


class ByKeyword:
    async def __call__(self, *, request: Any, handle: Handle) -> Any:
        return await handle(request)


class WrongHandle:
    async def __call__(self, request: Any, handle: int) -> Any:
        return request if handle else None


class Yielding:
    async def __call__(self, request: Any, handle: Handle) -> AsyncIterator[Any]:
        yield await handle(request)


async def without_handle(request: Any) -> Any:
    return request


def blocking(request: Any, handle: Handle) -> int:
    return 1


def errors(mediator: Mediator) -> None:
    mediator.use(1)  # type: ignore[arg-type]  # cannot be called
    mediator.use(Nothing())  # type: ignore[arg-type]  # cannot be called
    mediator.use(Nothing)  # type: ignore[arg-type]  # its instances cannot be called
    mediator.use(Blocking())  # type: ignore[arg-type]  # not async
    mediator.use(Blocking)  # type: ignore[arg-type]  # not async
    mediator.use(NotAsync())  # type: ignore[arg-type]  # async def alone can be checked
    mediator.use(WithoutHandle())  # type: ignore[arg-type]  # takes one argument
    mediator.use(WithoutHandle)  # type: ignore[arg-type]  # takes one argument
    mediator.use(WantsMore())  # type: ignore[arg-type]  # takes three arguments
    mediator.use(ByKeyword())  # type: ignore[arg-type]  # is called by position
    mediator.use(WrongHandle())  # type: ignore[arg-type]  # `handle` is no number
    mediator.use(Yielding())  # type: ignore[arg-type]  # cannot be awaited
    mediator.use(without_handle)  # type: ignore[arg-type]  # takes one argument
    mediator.use(blocking)  # type: ignore[arg-type]  # not async
    mediator.use(plain, Plain)  # type: ignore[call-arg]  # one by one
