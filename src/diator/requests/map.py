"""Which handler a request goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from diator.exceptions import BindingError, HandlerNotFoundError, InUseError
from diator.handler import Handler, check_handler
from diator.requests.request import Request, StreamRequest
from diator.requests.request_handler import RequestHandler, StreamHandler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from typing import Concatenate, ParamSpec

    from diator.requests.request import Asking, Streaming

    P = ParamSpec("P")

Req = TypeVar("Req")
Res = TypeVar("Res")


class RequestMap:
    """One handler for each type of request."""

    def __init__(self) -> None:
        self._handlers: dict[type[Any], Handler] = {}
        self._in_use = False

    @overload
    def bind(
        self,
        request_type: type[Asking[Req, Res]],
        handler_type: type[RequestHandler[Req, Res]]
        | Callable[Concatenate[Req, P], Coroutine[Any, Any, Res]],
    ) -> None: ...

    @overload
    def bind(
        self,
        request_type: type[Streaming[Req, Res]],
        handler_type: type[StreamHandler[Req, Res]]
        | Callable[Concatenate[Req, P], AsyncIterator[Res]],
    ) -> None: ...

    def bind(self, request_type: type[Any], handler_type: Handler) -> None:
        """
        Say which class, or function, handles the requests of a type.

        Args:
            request_type: A class that derives from `Request` or `StreamRequest`; it
                is bound itself, and not what derives from it.
            handler_type: A class whose `handle` takes such a request, or an async
                function that does, as for `handles`.

        Raises:
            BindingError: The type has a handler already, or is no request, or the
                handler cannot handle it.
            InUseError: A request was sent already.

        """
        _check_request_type(request_type)
        streams = issubclass(request_type, StreamRequest)
        if self._in_use:
            msg = (
                f"{request_type.__name__} is bound too late: a request was sent "
                "already; bind all handlers before the first send"
            )
            raise InUseError(msg)
        bound = self._handlers.get(request_type)
        if bound is not None:
            msg = (
                f"{request_type.__name__} is handled by {bound.__qualname__} already: "
                "a request has one handler; what others do about it is for events"
            )
            raise BindingError(msg)
        check_handler(
            handler_type,
            request_type,
            base=StreamHandler if streams else RequestHandler,
            streams=streams,
        )
        self._handlers[request_type] = handler_type

    @overload
    def handles(
        self, request_type: type[Asking[Req, Res]]
    ) -> Callable[
        [Callable[Concatenate[Req, P], Coroutine[Any, Any, Res]]],
        Callable[Concatenate[Req, P], Coroutine[Any, Any, Res]],
    ]: ...

    @overload
    def handles(
        self, request_type: type[Streaming[Req, Res]]
    ) -> Callable[
        [Callable[Concatenate[Req, P], AsyncIterator[Res]]],
        Callable[Concatenate[Req, P], AsyncIterator[Res]],
    ]: ...

    def handles(self, request_type: type[Any]) -> Callable[[Any], Any]:
        """
        Make the decorated async function the handler of the requests of a type.

        It is called with the request; its other parameters are injected by their
        types. It stays as it is, so that it can be called directly in a test.

        Args:
            request_type: As for `bind`.

        Raises:
            BindingError: As `bind` does.
            InUseError: As `bind` does.

        """
        # At once: the decorator without its parentheses would bind nothing.
        _check_request_type(request_type)

        def bind(handler: Any) -> Any:
            self.bind(request_type, handler)
            return handler

        return bind

    def get(self, request_type: type[Any]) -> Handler:
        """
        Give the handler that a type is bound to.

        Raises:
            HandlerNotFoundError: It is bound to none.

        """
        try:
            return self._handlers[request_type]
        except KeyError:
            name = request_type.__name__
            msg = (
                f"{name} has no handler: bind one with "
                f"mediator.bind({name}, ...) or @mediator.handles({name})"
            )
            raise HandlerNotFoundError(msg) from None

    def freeze(self) -> None:
        """Refuse changes from here on, because somebody relies on what is there."""
        self._in_use = True

    def __iter__(self) -> Iterator[type[Any]]:
        return iter(self._handlers)

    def __contains__(self, request_type: type[Any]) -> bool:
        return request_type in self._handlers


def _check_request_type(request_type: object) -> None:
    if isinstance(request_type, type) and issubclass(
        request_type, (Request, StreamRequest)
    ):
        return
    msg = (
        f"{request_type!r} is not a type of request: name a class that derives from "
        "diator.Request (Command, Query) or diator.StreamRequest"
    )
    raise BindingError(msg)
