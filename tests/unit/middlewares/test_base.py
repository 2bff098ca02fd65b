"""The onion of middlewares."""

from __future__ import annotations

from functools import wraps
from typing import Any

import pytest

from diator import Mediator, MiddlewareChain
from diator.exceptions import BindingError, InUseError
from diator.middlewares.base import Handle, compose
from tests.unit.fakes import Do, Happened


async def pass_on(request: Any, handle: Handle) -> Any:
    return await handle(request)


def decorated(middleware: Any) -> Any:
    """Wrap an async function in one that is not async, but passes its coroutine."""

    @wraps(middleware)
    def wrapper(request: Any, handle: Handle) -> Any:
        return middleware(request, handle)

    return wrapper


class Passing:
    async def __call__(self, request: Any, handle: Handle) -> Any:
        return await handle(request)

    async def with_option(self, request: Any, handle: Handle, option: int = 1) -> Any:
        return await handle(request)


class Incomplete:
    async def __call__(self, request: Any) -> Any: ...


class NotAsync:
    def __call__(self, request: Any, handle: Handle) -> Any: ...


async def one_parameter(request: Any) -> Any: ...


async def three_parameters(request: Any, handle: Handle, other: Any) -> Any: ...


async def only_keywords(*, request: Any, handle: Handle) -> Any: ...


def not_async(request: Any, handle: Handle) -> Any: ...


async def generator(request: Any, handle: Handle) -> Any:
    yield await handle(request)


async def echo(request: object) -> object:
    return request


class TestAdd:
    @pytest.mark.parametrize(
        "middleware",
        [pass_on, decorated(pass_on), Passing(), Passing, Passing().with_option],
    )
    def test_middleware(self, middleware: Any):
        """Async callables of two arguments are middlewares, and classes of them."""
        chain = MiddlewareChain()
        chain.add(middleware)

        assert chain.select(Do) == [middleware]

    @pytest.mark.parametrize(
        "thing", [NotAsync(), NotAsync, not_async, generator, None, 1, object, object()]
    )
    def test_not_async(self, thing: Any):
        """What is not async is refused, and told what a middleware looks like."""
        with pytest.raises(
            BindingError, match=r"async def __call__\(self, request, ha"
        ):
            MiddlewareChain().add(thing)

    @pytest.mark.parametrize(
        "thing",
        [Incomplete(), Incomplete, one_parameter, three_parameters, only_keywords],
    )
    def test_other_parameters(self, thing: Any):
        """What does not take a request and the rest of the chain is refused."""
        with pytest.raises(BindingError, match="it is called with a request and"):
            MiddlewareChain().add(thing)

    @pytest.mark.parametrize("only", [1, "Do", (Do, "Do"), [Do], (Do, 1)])
    def test_unfit_selector(self, only: Any):
        """`only=` takes types and predicates."""
        with pytest.raises(BindingError, match="only= takes a type, a tuple of types"):
            MiddlewareChain().add(pass_on, only=only)

    def test_refused_leaves_chain_alone(self):
        """What was refused is not in the chain."""
        chain = MiddlewareChain()
        with pytest.raises(BindingError):
            chain.add(not_async)  # type: ignore[arg-type]  # on purpose

        assert chain.select(Do) == []

    def test_same_middleware_twice(self):
        """A middleware may stand in a chain twice."""
        chain = MiddlewareChain()
        chain.add(pass_on)
        chain.add(pass_on)

        assert chain.select(Do) == [pass_on, pass_on]


class TestSet:
    def test_replaces(self):
        """Setting a chain replaces what was there."""
        chain = MiddlewareChain()
        chain.add(pass_on, only=Happened)
        chain.set([Passing, pass_on])

        assert chain.select(Do) == [Passing, pass_on]

    def test_unfit(self):
        """A chain with something unfit in it is refused as a whole."""
        chain = MiddlewareChain()
        chain.add(pass_on)
        with pytest.raises(BindingError):
            chain.set([Passing, not_async])  # type: ignore[list-item]  # on purpose

        assert chain.select(Do) == [pass_on]

    def test_in_use(self):
        """A chain in use stays as it is."""
        chain = MiddlewareChain()
        chain.add(pass_on)
        chain.freeze()
        with pytest.raises(InUseError):
            chain.set([Passing])

        assert chain.select(Do) == [pass_on]


class TestChain:
    def test_classes(self):
        """The chain knows which of its middlewares the container builds."""
        chain = MiddlewareChain()
        chain.set([Passing, pass_on, Passing()])

        assert chain.classes() == [Passing]

    async def test_shared(self):
        """One chain may serve several mediators."""
        chain = MiddlewareChain()
        seen: list[Any] = []

        @chain.add
        async def look(request: Any, handle: Handle) -> Any:
            seen.append(request)
            return await handle(request)

        for _ in range(2):
            mediator = Mediator(middleware_chain=chain)
            mediator.handles(Do)(echo)
            await mediator.send(Do("it"))

        assert seen == [Do("it")] * 2


class Idling:
    """Has something to do, or nothing."""

    def __init__(self) -> None:
        self.idle = True

    def is_idle(self) -> bool:
        return self.idle

    async def __call__(self, request: Any, handle: Handle) -> Any:
        return [await handle(request)]


class TestIdle:
    async def test_passed_by(self):
        """A message passes by a middleware that says it has nothing to do for it."""
        idling = Idling()
        handle = compose([idling, pass_on], echo)

        answers = [await handle(1)]
        idling.idle = False
        answers.append(await handle(2))
        idling.idle = True
        answers.append(await handle(3))

        assert answers == [1, [2], 3]

    async def test_mediator(self):
        """The middlewares around it and inside it are called all the same."""
        mediator = Mediator()
        idling = Idling()
        seen: list[Any] = []

        async def look(request: Any, handle: Handle) -> Any:
            seen.append(request)
            return await handle(request)

        for middleware in (look, idling, look):
            mediator.use(middleware)
        mediator.handles(Do)(echo)

        assert await mediator.send(Do("it")) == Do("it")
        assert seen == [Do("it")] * 2

    async def test_no_attempt(self):
        """It cannot survive a failure, so that there is no attempt to be guarded."""

        def guard(middleware: Any, _handle: Handle) -> Handle:
            async def guarded(_request: Any) -> str:
                return f"guarded from {type(middleware).__name__}"

            return guarded

        idling = Idling()
        handle = compose([idling], echo, guard=guard)

        assert await handle(1) == 1
        idling.idle = False
        assert await handle(1) == ["guarded from Idling"]


class TestCompose:
    async def test_guard(self):
        """The guard is put between each middleware and what is inside it."""
        log: list[str] = []

        async def outer(request: Any, handle: Handle) -> Any:
            return await handle(f"{request} outer")

        async def inner(request: Any, handle: Handle) -> Any:
            return await handle(f"{request} inner")

        def guard(middleware: Any, handle: Handle) -> Handle:
            async def guarded(request: Any) -> Any:
                log.append(f"inside {middleware.__name__}: {request}")
                return await handle(request)

            return guarded

        handle = compose([outer, inner], echo, guard=guard)

        assert await handle("x") == "x outer inner"
        assert log == ["inside outer: x outer", "inside inner: x outer inner"]

    async def test_reused(self):
        """What was composed can be called again, also at the same time."""
        handle = compose([pass_on, Passing()], echo)

        assert [await handle(1), await handle(2)] == [1, 2]
