"""The first pipeline: a request, through the chain, to its handler."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diator.container.protocol import Factory, Scoped
from diator.container.scope import current_scope
from diator.exceptions import BindingError, NotAMessageError
from diator.handler import qualified_name
from diator.invocation import call_factory, invocation
from diator.middlewares.base import compose
from diator.middlewares.building import MiddlewareBuilder
from diator.middlewares.transparency import guarded
from diator.requests.post import PostCommand, post_command
from diator.requests.request import Request, StreamRequest

if TYPE_CHECKING:
    from diator.container.protocol import Container
    from diator.handler import Handler
    from diator.middlewares.base import Handle, MiddlewareChain
    from diator.requests.map import RequestMap
    from diator.requests.stream import Stream


StreamParts = tuple[Factory[Callable[[Any], Any]] | Scoped, list[Any]]
"""How the handler of a type of stream is got, and the middlewares around it."""


class RequestPipeline:
    """
    Composes, once per type of request, what a request goes through.

    Args:
        request_map: The handlers.
        middleware_chain: The middlewares around them.
        container: Builds handlers and middlewares.

    """

    def __init__(
        self,
        request_map: RequestMap,
        middleware_chain: MiddlewareChain,
        container: Container,
    ) -> None:
        self._request_map = request_map
        self._middleware_chain = middleware_chain
        self._container = container
        self._builder = MiddlewareBuilder(middleware_chain, container)
        self._streams: dict[type, StreamParts] = {}

    async def compose(self, request: Any) -> Handle:
        """
        Compose what requests of this one's type go through.

        Raises:
            NotAMessageError: It is no instance of a request that can be sent.
            HandlerNotFoundError: Its type has no handler.
            UnresolvableError: The container cannot build the handler.

        """
        request_type: type[Any] = request.__class__
        if not isinstance(request, Request):
            raise NotAMessageError(_not_sendable(request))
        handler: Handler
        if request_type is PostCommand:
            handler = post_command
        else:
            handler = self._request_map.get(request_type)
        self._freeze()
        handle = invocation(handler, self._container)
        middlewares = await self._builder.middlewares(request_type)
        return compose(middlewares, handle, guard=guarded)

    async def stream(self, stream: Stream) -> None:
        """
        Take a stream request through its chain, and put the items of its handler.

        Raises:
            NotAMessageError: It is no instance of a stream request.
            HandlerNotFoundError: Its type has no handler.
            UnresolvableError: The container cannot build the handler.
            BindingError: A middleware answered in the place of the handler.

        """
        request: Any = stream.request
        request_type: type[Any] = request.__class__
        if not isinstance(request, StreamRequest):
            msg = (
                f"{request!r} cannot be streamed: pass an instance of a class "
                "that derives from diator.StreamRequest"
            )
            raise NotAMessageError(msg)
        if request_type not in self._streams:
            self._streams[request_type] = await self._parts(request_type)
        factory, middlewares = self._streams[request_type]

        async def put_items(request: Any) -> None:
            call = await current_scope().build(self._container, factory)
            items = call(request)
            try:
                async for item in items:
                    await stream.put(item)
            finally:
                # Its end belongs here, if it is a generator, and not to its finalizer.
                if hasattr(items, "aclose"):
                    await items.aclose()

        # A reader who has gone ends the stream at every layer, whatever a middleware
        # swallows.
        def guard(middleware: Any, handle: Handle) -> Handle:
            return stream.unless_closed(guarded(middleware, handle))

        handle = compose(middlewares, put_items, guard=guard)
        answer = await handle(stream.request)
        stream.check_open()
        if answer is not None:
            msg = (
                f"a middleware answered {request_type.__name__} with {answer!r}: "
                "a stream is answered by its handler; leave middlewares that answer "
                "by themselves out of it with only="
            )
            raise BindingError(msg)

    async def _parts(self, request_type: type[Any]) -> StreamParts:
        handler = self._request_map.get(request_type)
        self._freeze()
        factory = call_factory(handler, self._container)
        return factory, await self._builder.middlewares(request_type)

    def _freeze(self) -> None:
        self._request_map.freeze()
        self._middleware_chain.freeze()


def _not_sendable(request: Any) -> str:
    if isinstance(request, StreamRequest):
        return (
            f"{qualified_name(request)} is answered with a stream: "
            "use `async for item in mediator.stream(...)`"
        )
    if inspect.isclass(request):
        return (
            f"the class {request.__name__} was sent instead of an instance: "
            f"send {request.__name__}(...)"
        )
    return (
        f"{request!r} is not a request: send an instance of a class that derives from "
        "diator.Request (Command, Query)"
    )
