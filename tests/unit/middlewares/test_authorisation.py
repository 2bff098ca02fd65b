"""What the caller may not do is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pytest

from diator import Command, Mediator, Query, StreamRequest
from diator.exceptions import AuthorisationError, BindingError, InUseError
from diator.middlewares.authorisation import AuthorisationMiddleware


@dataclass(frozen=True)
class ReadRoom(Query[str]):
    room: str


@dataclass(frozen=True)
class ChangeRoom(Command[str]):
    room: str


@dataclass(frozen=True)
class CloseRoom(ChangeRoom):
    pass


@dataclass(frozen=True)
class ExportRooms(StreamRequest[str]):
    pass


@dataclass(frozen=True)
class Caller:
    name: str


caller_name: ContextVar[str] = ContextVar("caller_name")


class OwnsRoom:
    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def allows(self, request: ChangeRoom) -> bool | str:
        return request.room.startswith(self.caller.name) or "only its owner may"


class House:
    """
    A mediator whose callers are asked about, and what was handled.

    Attributes:
        handled: The requests that came through.

    """

    def __init__(self) -> None:
        self.handled: list[Any] = []
        self.policies = AuthorisationMiddleware()
        self.mediator = Mediator()
        self.mediator.container[Caller] = lambda: Caller(caller_name.get())
        self.mediator.use(self.policies)
        for kind in (ReadRoom, ChangeRoom, CloseRoom):
            self.mediator.handles(kind)(self.handle)

        @self.mediator.handles(ExportRooms)
        async def export(request: ExportRooms) -> AsyncIterator[str]:
            self.handled.append(request)
            yield "attic"

    async def handle(self, request: Any) -> str:
        self.handled.append(request)
        return "done"

    async def send(self, request: Any, *, caller: str = "Ann") -> Any:
        token = caller_name.set(caller)
        try:
            return await self.mediator.send(request)
        finally:
            caller_name.reset(token)


@pytest.fixture
def house() -> House:
    return House()


async def refusal(house: House, request: Any) -> AuthorisationError:
    with pytest.raises(AuthorisationError) as caught:
        await house.send(request)
    assert house.handled == []
    return caught.value


class TestAuthorisationMiddleware:
    async def test_class(self, house: House):
        """A class is built by the container, which knows the caller, and asked."""
        house.policies.bind(ChangeRoom, OwnsRoom)

        assert await house.send(ChangeRoom("Ann's"), caller="Ann") == "done"
        with pytest.raises(AuthorisationError) as caught:
            await house.send(ChangeRoom("Ann's"), caller="Bob")
        assert caught.value.request == ChangeRoom("Ann's")
        assert caught.value.reason == "only its owner may"
        assert house.handled == [ChangeRoom("Ann's")]

    async def test_function(self, house: House):
        """A function is given the request, and its other parameters are injected."""

        @house.policies.authorises(ReadRoom)
        async def is_known(request: ReadRoom, caller: Caller) -> bool:
            return caller.name == "Ann"

        assert await house.send(ReadRoom("attic"), caller="Ann") == "done"
        with pytest.raises(AuthorisationError, match="is_known refuses it"):
            await house.send(ReadRoom("attic"), caller="Bob")
        assert await is_known(ReadRoom("attic"), Caller("Bob")) is False

    async def test_no_policy(self, house: House):
        """A request that no policy is for is refused."""
        house.policies.bind(ChangeRoom, lambda _: True)

        error = await refusal(house, ReadRoom("attic"))

        assert str(error) == "ReadRoom is not allowed: no policy is bound to its type"

    async def test_bases(self, house: House):
        """Policies of the bases of a type count, too, and all have to allow it."""
        house.policies.bind(Command, lambda request: request.room != "cellar")
        house.policies.bind(CloseRoom, lambda request: request.room != "attic")

        assert await house.send(CloseRoom("hall")) == "done"
        assert await house.send(ChangeRoom("attic")) == "done"
        house.handled.clear()
        await refusal(house, CloseRoom("cellar"))
        await refusal(house, CloseRoom("attic"))

    async def test_first_refusal(self, house: House):
        """After a refusal no other policy is asked."""
        house.policies.bind(Command, lambda _: "it is late")
        house.policies.bind(Command, lambda _: pytest.fail("asked"))

        error = await refusal(house, ChangeRoom("attic"))

        assert error.reason == "it is late"

    @pytest.mark.parametrize("verdict", [False, "", "no"])
    async def test_refused(self, house: House, verdict: Any):
        """A sentence refuses, whatever it says, and so does False."""
        house.policies.bind(ReadRoom, lambda _: verdict)

        await refusal(house, ReadRoom("attic"))

    @pytest.mark.parametrize("verdict", [None, 1, object(), [], ("yes",)])
    async def test_no_verdict(self, house: House, verdict: Any):
        """Anything else is an error, and not taken for a yes."""
        house.policies.bind(ReadRoom, lambda _: verdict)

        with pytest.raises(BindingError, match="<lambda> answered with a "):
            await house.send(ReadRoom("attic"))
        assert house.handled == []

    async def test_raising(self, house: House):
        """What a policy raises passes as it is, and nothing is handled."""

        @house.policies.authorises(ReadRoom)
        def fail(request: ReadRoom) -> bool:
            raise KeyError

        with pytest.raises(KeyError):
            await house.send(ReadRoom("attic"))
        assert house.handled == []

    def test_no_policy_at_all(self, house: House):
        """What is no policy is refused at once, with what to do about it."""
        with pytest.raises(BindingError, match="is not a policy: bind a class"):
            house.policies.bind(ReadRoom, Caller)

    async def test_too_late(self, house: House):
        """Binding after the first request is an error: it was not asked about."""
        await refusal(house, ReadRoom("attic"))

        with pytest.raises(InUseError, match="OwnsRoom comes too late"):
            house.policies.bind(ChangeRoom, OwnsRoom)


class TestWhatIsAskedAbout:
    async def test_nested(self, house: House):
        """What a handler sends is asked about as well."""

        @dataclass(frozen=True)
        class Move(Command[str]):
            pass

        @house.mediator.handles(Move)
        async def move(request: Move) -> str:
            return await house.mediator.send(ChangeRoom("attic"))

        house.policies.bind(Move, lambda _: True)
        house.policies.bind(ChangeRoom, lambda _: False)

        error = await refusal(house, Move())
        assert error.request == ChangeRoom("attic")

    async def test_posted(self, house: House):
        """A command that is to be handled later is asked about at once."""
        house.policies.bind(ChangeRoom, lambda request: request.room != "cellar")

        await house.mediator.post(ChangeRoom("attic"))
        with pytest.raises(AuthorisationError, match="ChangeRoom") as caught:
            await house.mediator.post(ChangeRoom("cellar"))
        assert caught.value.request == ChangeRoom("cellar")

    async def test_stream(self, house: House):
        """A stream is asked about before it begins."""
        allowed = [True, False]
        house.policies.bind(ExportRooms, lambda _: allowed.pop(0))

        stream = house.mediator.stream(ExportRooms())
        assert [item async for item in stream] == ["attic"]
        with pytest.raises(AuthorisationError):
            [item async for item in house.mediator.stream(ExportRooms())]
        assert len(house.handled) == 1
