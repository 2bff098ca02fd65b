"""The map of requests to their handlers."""

from __future__ import annotations

from typing import Any

import pytest

from diator import Mediator, RequestHandler, RequestMap, StreamRequest
from diator.exceptions import BindingError, HandlerNotFoundError, InUseError
from tests.unit.fakes import Do, Happened


class DoHandler(RequestHandler[Do, str]):
    async def handle(self, request: Do) -> str:
        return "answer"


class Derived(Do):
    pass


class Numbers(StreamRequest[int]):
    pass


async def answer(request: Do) -> str:
    return "answer"


class TestRequestMap:
    def test_bind_class(self):
        """A class that was bound is found by its type of request."""
        request_map = RequestMap()
        request_map.bind(Do, DoHandler)

        assert request_map.get(Do) is DoHandler
        assert Do in request_map
        assert list(request_map) == [Do]

    def test_handles(self):
        """A decorated function is bound, and stays what it was."""
        request_map = RequestMap()
        decorated = request_map.handles(Do)(answer)

        assert decorated is answer
        assert request_map.get(Do) is answer

    def test_not_found(self):
        """Asking for the handler of an unknown type says how to bind one."""
        request_map = RequestMap()
        with pytest.raises(HandlerNotFoundError, match=r"mediator\.handles\(Do\)"):
            request_map.get(Do)

        # Looking for one does not make one.
        assert Do not in request_map
        assert list(request_map) == []

    def test_derived_type(self):
        """A request is handled by the handler of its very type, not of a base."""
        request_map = RequestMap()
        request_map.bind(Do, DoHandler)

        with pytest.raises(HandlerNotFoundError, match="Derived"):
            request_map.get(Derived)

    def test_handler_of_base(self):
        """A handler that takes a type of request can be bound to a derived one."""
        request_map = RequestMap()
        request_map.bind(Derived, DoHandler)

        assert request_map.get(Derived) is DoHandler

    def test_one_handler_for_many_types(self):
        """One handler may be bound to several types."""
        request_map = RequestMap()
        request_map.bind(Do, DoHandler)
        request_map.bind(Derived, DoHandler)

        assert list(request_map) == [Do, Derived]

    @pytest.mark.parametrize("thing", [Happened, int, None, Do("it")])
    def test_no_request(self, thing: Any):
        """Only types of request are bound."""
        with pytest.raises(BindingError, match=r"diator\.StreamRequest"):
            RequestMap().bind(thing, DoHandler)

    def test_stream(self):
        """A stream request is bound to an async generator."""
        request_map = RequestMap()

        @request_map.handles(Numbers)
        async def numbers(request: Numbers) -> Any:
            yield 1

        assert request_map.get(Numbers) is numbers

    def test_frozen(self):
        """A map in use is not changed any more."""
        request_map = RequestMap()
        request_map.freeze()

        with pytest.raises(InUseError):
            request_map.bind(Do, DoHandler)

    async def test_shared(self):
        """A map that one mediator uses is in use for all."""
        request_map = RequestMap()
        request_map.bind(Do, DoHandler)
        await Mediator(request_map=request_map).send(Do())

        with pytest.raises(InUseError):
            Mediator(request_map=request_map).bind(Derived, DoHandler)
