"""What is bound to types of requests, to be asked about each of them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from diator.container.scope import current_scope
from diator.exceptions import BindingError, InUseError
from diator.handler import qualified_name
from diator.middlewares.roles import Injected


class Rule(NamedTuple):
    """
    A class or a function that is asked about requests.

    Attributes:
        asked: The class or the function.
        how: How it is asked, which gives its answer or an awaitable of it.

    """

    asked: Any
    how: Callable[[Any, Any], Awaitable[Any]]

    async def ask(self, request: Any) -> Any:
        """Give what it answers."""
        answer = await self.how(self.asked, request)
        return await answer if inspect.isawaitable(answer) else answer

    @property
    def name(self) -> str:
        """What to tell it by."""
        return qualified_name(self.asked)


class Rules:
    """
    The rules of a middleware, by the types of requests that they are bound to.

    Args:
        noun: What one is called.
        method: The method by which a class is asked.
        verb: What it does.

    """

    def __init__(self, noun: str, *, method: str, verb: str) -> None:
        self._noun = noun
        self._method = method
        self._verb = verb
        self._bound: list[tuple[type, Rule]] = []
        self._in_use = False

    def bind(self, request_type: type[Any], asked: Any) -> None:
        """
        Have something asked about the requests of a type, and of those derived from it.

        Args:
            request_type: The type.
            asked: A class with the method, which the container builds for each request;
                or a function of the request, whose other parameters are injected by
                their types. Either may be async.

        Raises:
            BindingError: It is neither, or cannot be called with a request.
            InUseError: Rules were asked for already.

        """
        if not inspect.isclass(request_type):
            msg = f"{request_type!r} is not a type: bind a {self._noun} to a class"
            raise BindingError(msg)
        if self._in_use:
            msg = (
                f"{qualified_name(asked)} comes too late: a request came already that "
                f"it was not asked about; bind each {self._noun} before the first send"
            )
            raise InUseError(msg)
        self._bound.append((request_type, Rule(asked, self._how_to_ask(asked))))

    def of(self, request_type: type[Any]) -> list[Rule]:
        """Give the rules of a type, each once, in the order of binding."""
        self._in_use = True
        return self.bound_to(request_type)

    def bound_to(self, request_type: type[Any]) -> list[Rule]:
        """Give the same, while others may be bound still."""
        rules: list[Rule] = []
        for bound_type, rule in self._bound:
            if issubclass(request_type, bound_type) and rule not in rules:
                rules.append(rule)
        return rules

    def _how_to_ask(self, asked: Any) -> Callable[[Any, Any], Awaitable[Any]]:
        is_class = inspect.isclass(asked)
        call = getattr(asked, self._method, None) if is_class else asked
        name = qualified_name(asked)
        if not callable(call):
            msg = (
                f"{name} is not a {self._noun}: bind a class with a method "
                f"`{self._method}(self, request)`, or a function of the request"
            )
            raise BindingError(msg)
        signature = inspect.signature(call)
        try:
            # Other parameters of functions are injected; a method has the request.
            if is_class:
                signature.bind(None, None)
            else:
                signature.bind_partial(None)
        except TypeError as error:
            msg = (
                f"{name} cannot {self._verb}: it is called with the request, but "
                f"{error}"
            )
            raise BindingError(msg) from error
        if is_class:
            return self._ask_built
        return _ask_injected if len(signature.parameters) > 1 else _ask_plain

    def injected(self, request_type: type) -> list[Injected]:
        """Give what the container is asked for when a request of a type comes."""
        return [
            Injected(rule.asked, given=0 if inspect.isclass(rule.asked) else 1)
            for rule in self.bound_to(request_type)
        ]

    async def _ask_built(self, asked: type[Any], request: Any) -> Any:
        built = await current_scope().get(asked)
        return getattr(built, self._method)(request)


async def _ask_injected(asked: Callable[..., Any], request: Any) -> Any:
    return await current_scope().call(asked, request)


async def _ask_plain(asked: Callable[..., Any], request: Any) -> Any:
    return asked(request)
