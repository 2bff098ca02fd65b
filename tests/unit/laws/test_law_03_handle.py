"""Law 3: a middleware decides whether, how often and with what it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from diator import Mediator
from diator.middlewares.base import Handle
from tests.unit.fakes import Do, FailedError, Retrying


class Handler:
    """Writes down the requests it gets, and fails at the first ones."""

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures
        self.got: list[Any] = []

    def bound(self, *middlewares: Any) -> Mediator:
        mediator = Mediator()
        for middleware in middlewares:
            mediator.use(middleware)

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            self.got.append(request)
            if len(self.got) <= self.failures:
                raise FailedError
            return f"answer {len(self.got)} to {request.name}"

        return mediator


class TestLaw03Handle:
    async def test_not_at_all(self):
        """A middleware may answer by itself; what is inside it never runs."""

        async def answer(request: Any, handle: Handle) -> str:
            return "cached"

        handler = Handler()

        assert await handler.bound(answer).send(Do()) == "cached"
        assert handler.got == []

    async def test_once(self):
        """What the handler answers is what a middleware gets from `handle`."""
        answers: list[str] = []

        async def look(request: Any, handle: Handle) -> Any:
            answers.append(await handle(request))
            return answers[-1]

        handler = Handler()

        assert await handler.bound(look).send(Do()) == "answer 1 to it"
        assert answers == ["answer 1 to it"]

    async def test_again(self):
        """A middleware may try again after a failure; the last answer counts."""
        handler = Handler(failures=1)

        assert await handler.bound(Retrying()).send(Do()) == "answer 2 to it"
        assert handler.got == [Do(), Do()]

    async def test_again_after_success(self):
        """A middleware may go on twice although nothing failed."""

        async def twice(request: Any, handle: Handle) -> Any:
            await handle(request)
            return await handle(request)

        handler = Handler()

        assert await handler.bound(twice).send(Do()) == "answer 2 to it"

    async def test_again_in_every_layer(self):
        """Retries multiply: each outer one repeats all the inner ones."""
        handler = Handler(failures=3)

        answer = await handler.bound(Retrying(), Retrying()).send(Do())

        assert answer == "answer 4 to it"

    async def test_another_request(self):
        """What a middleware passes on is what all inside it get, the handler too."""

        async def replace(request: Any, handle: Handle) -> Any:
            return await handle(Do(f"{request.name} replaced"))

        handler = Handler()

        answer = await handler.bound(replace, replace).send(Do())

        assert answer == "answer 1 to it replaced replaced"
        assert handler.got == [Do("it replaced replaced")]

    async def test_request_of_another_type(self):
        """Even a request of another type goes on to the handler of the one sent."""

        class Other(Do):
            pass

        async def replace(request: Any, handle: Handle) -> Any:
            return await handle(Other("other"))

        handler = Handler()

        assert await handler.bound(replace).send(Do()) == "answer 1 to other"
        assert type(handler.got[0]) is Other

    async def test_another_answer(self):
        """What a middleware returns is the answer, whatever the handler said."""

        async def shout(request: Any, handle: Handle) -> str:
            return str(await handle(request)).upper()

        assert await Handler().bound(shout).send(Do()) == "ANSWER 1 TO IT"

    async def test_failure_passes(self):
        """A failure that no middleware catches reaches the caller as it was raised."""

        async def look(request: Any, handle: Handle) -> Any:
            return await handle(request)

        with pytest.raises(FailedError):
            await Handler(failures=1).bound(look, look).send(Do())

    async def test_names_of_parameters_are_free(self):
        """The request and the rest of the chain are passed by position."""

        class Middleware:
            async def __call__(self, what: Any, then: Handle, /) -> Any:
                return await then(what)

        assert await Handler().bound(Middleware()).send(Do()) == "answer 1 to it"

    async def test_any_async_callable(self):
        """Functions, methods and instances are all middlewares."""

        class Class:
            async def method(self, request: Any, handle: Handle) -> Any:
                return f"method of {await handle(request)}"

            @staticmethod
            async def static(request: Any, handle: Handle) -> Any:
                return f"static of {await handle(request)}"

            async def __call__(self, request: Any, handle: Handle) -> Any:
                return f"call of {await handle(request)}"

        mediator = Handler().bound(Class(), Class().method, Class.static)

        assert await mediator.send(Do()) == "call of method of static of answer 1 to it"
