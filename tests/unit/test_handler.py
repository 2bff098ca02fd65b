"""What counts as a handler."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pytest

from diator import Request, RequestHandler
from diator.exceptions import BindingError
from diator.handler import check_handler, is_async, qualified_name
from tests.unit.fakes import Do

if TYPE_CHECKING:
    from somewhere import Unknown

Req = TypeVar("Req")


class Derived(Do):
    pass


class Other(Request[None]):
    pass


class OfDo(RequestHandler[Do, str]):
    async def handle(self, request: Do) -> str:
        return ""


class Inherited(OfDo):
    pass


class Base(RequestHandler[Req, str], Generic[Req]):
    async def handle(self, request: Req) -> str:
        return ""


class OfBase(Base[Do]):
    pass


class Mixin(Generic[Req]):
    """Is generic, but not a handler."""


class WithMixin(Mixin[Other], OfDo):
    pass


class OfAny(RequestHandler[Any, str]):
    async def handle(self, request: Any) -> str:
        return ""


class Ducklike:
    async def handle(self, request: Do) -> str:
        return ""


class WithDefault(RequestHandler[Do, str]):
    async def handle(self, request: Do, option: int = 1) -> str:
        return ""


class WithoutParameter(RequestHandler[Do, str]):
    async def handle(self) -> str:  # type: ignore[override]  # on purpose
        return ""


class WithTwoParameters(RequestHandler[Do, str]):
    async def handle(self, request: Do, other: Do) -> str:  # type: ignore[override]  # on purpose
        return ""


class Static(RequestHandler[Do, str]):
    @staticmethod
    async def handle(request: Do) -> str:  # type: ignore[override]  # on purpose
        return ""


class NotCallable:
    handle = 1


async def function(request: Do) -> str:
    return ""


async def of_any(request: Any) -> str:
    return ""


async def without_annotation(request):
    return ""


async def with_unknown_type(request: Unknown) -> str:
    return ""


async def injected(request: Do, number: int, *, other: str) -> str:
    return ""


async def only_keyword(*, request: Do) -> str:
    return ""


def unwrapped(handler: Any) -> Any:
    """Wrap an async function without being async."""

    @wraps(handler)
    def wrapper(*given: Any, **named: Any) -> Any:
        return handler(*given, **named)

    return wrapper


class TestCheckHandler:
    @pytest.mark.parametrize(
        "handler",
        [
            OfDo,
            Inherited,
            OfBase,
            OfAny,
            WithMixin,
            Ducklike,
            WithDefault,
            function,
            of_any,
            without_annotation,
            with_unknown_type,
            injected,
            unwrapped(function),
            partial(function),
            Ducklike().handle,
        ],
    )
    def test_fit(self, handler: Any):
        """Classes with a method `handle` and async functions are handlers."""
        check_handler(handler, Do, base=RequestHandler)

    @pytest.mark.parametrize("handler", [OfDo, function])
    def test_derived_message(self, handler: Any):
        """A handler may be bound to a type derived from the one that it is for."""
        check_handler(handler, Derived, base=RequestHandler)

    @pytest.mark.parametrize(
        "handler", [OfDo, Inherited, WithMixin, function, unwrapped(function)]
    )
    def test_other_message(self, handler: Any):
        """A handler that is for another type is refused, and the types are named."""
        with pytest.raises(BindingError, match=r"cannot handle Other: .* for Do"):
            check_handler(handler, Other, base=RequestHandler)

    @pytest.mark.parametrize(
        "handler", [WithoutParameter, WithTwoParameters, Static, only_keyword]
    )
    def test_signature(self, handler: Any):
        """What cannot be called with a message alone is refused."""
        with pytest.raises(BindingError, match="it is called with the message alone"):
            check_handler(handler, Do, base=RequestHandler)

    def test_instance(self):
        """An instance in the place of its class is refused, with the remedy."""
        with pytest.raises(BindingError, match="bind its class, OfDo"):
            check_handler(OfDo(), Do, base=RequestHandler)

    @pytest.mark.parametrize("thing", [NotCallable, int, 1, None, "handler"])
    def test_no_handler(self, thing: Any):
        """What has nothing to call is refused, and told what a handler is."""
        with pytest.raises(BindingError, match="derives from RequestHandler"):
            check_handler(thing, Do, base=RequestHandler)


class TestIsAsync:
    def test_decorated(self):
        """A decorator that passes the coroutine on need not be async itself."""
        assert is_async(function)
        assert is_async(unwrapped(function))
        assert not is_async(lambda request: request)
        assert not is_async(1)


class TestQualifiedName:
    @pytest.mark.parametrize(
        "thing, name",
        [
            (OfDo, "OfDo"),
            (OfDo.handle, "OfDo.handle"),
            (function, "function"),
            (Ducklike(), "Ducklike"),
            (partial(function), "partial"),
        ],
    )
    def test_name(self, thing: Any, name: str):
        """Classes and functions have a name; others have that of their class."""
        assert qualified_name(thing) == name
