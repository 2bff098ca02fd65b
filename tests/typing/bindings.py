# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
Which handlers `bind` takes for which requests.

Checked, never run. Each `# type: ignore` states an error; mypy and pyright report one
that they do not find.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import attrs
import msgspec
import pydantic

from diator import (
    Command,
    DomainEvent,
    Event,
    EventHandler,
    Mediator,
    Query,
    Request,
    RequestHandler,
    RequestMap,
    StreamHandler,
    StreamRequest,
)

T = TypeVar("T")


class Meeting:
    pass


class PrivateMeeting(Meeting):
    pass


class ReadMeeting(Query[Meeting]):
    pass


class ReadMeetingAgain(ReadMeeting):
    pass


class ReadOther(Query[Meeting]):
    pass


class JoinMeeting(Command):
    pass


class CountUsers(Command[int]):
    pass


class ListMeetings(Query[list[int]]):
    pass


class FindMeeting(Query[Meeting | None]):
    pass


class Untold(Request):
    pass


class Struct(msgspec.Struct, Request[Meeting]):
    meeting_id: int


class Model(pydantic.BaseModel, Request[Meeting]):
    meeting_id: int


@attrs.frozen
class Attrs(Request[Meeting]):
    meeting_id: int


@dataclass
class Get(Request[T], Generic[T]):
    type: type[T]


class Count(StreamRequest[int]):
    pass


class UserJoined(DomainEvent):
    pass


class ReadMeetingHandler(RequestHandler[ReadMeeting, Meeting]):
    async def handle(self, request: ReadMeeting) -> Meeting:
        return Meeting()


class PrivateMeetingHandler(RequestHandler[ReadMeeting, PrivateMeeting]):
    async def handle(self, request: ReadMeeting) -> PrivateMeeting:
        return PrivateMeeting()


class NarrowerThanItsBaseHandler(RequestHandler[ReadMeeting, Meeting]):
    async def handle(self, request: ReadMeeting) -> PrivateMeeting:
        return PrivateMeeting()


class InjectedHandler(RequestHandler[JoinMeeting, None]):
    def __init__(self, meeting: Meeting, *, retries: int = 3) -> None:
        self.meeting = meeting
        self.retries = retries

    async def handle(self, request: JoinMeeting) -> None:
        pass


class CountUsersHandler(RequestHandler[CountUsers, int]):
    async def handle(self, request: CountUsers) -> int:
        return 1


class ListMeetingsHandler(RequestHandler[ListMeetings, list[int]]):
    async def handle(self, request: ListMeetings) -> list[int]:
        return []


class ListNamesHandler(RequestHandler[ListMeetings, list[str]]):
    async def handle(self, request: ListMeetings) -> list[str]:
        return []


class FindMeetingHandler(RequestHandler[FindMeeting, Meeting | None]):
    async def handle(self, request: FindMeeting) -> Meeting | None:
        return None


class FoundMeetingHandler(RequestHandler[FindMeeting, Meeting]):
    async def handle(self, request: FindMeeting) -> Meeting:
        return Meeting()


class UntoldHandler(RequestHandler[Untold, None]):
    async def handle(self, request: Untold) -> None:
        pass


class StructHandler(RequestHandler[Struct, Meeting]):
    async def handle(self, request: Struct) -> Meeting:
        return Meeting()


class ModelHandler(RequestHandler[Model, Meeting]):
    async def handle(self, request: Model) -> Meeting:
        return Meeting()


class AttrsHandler(RequestHandler[Attrs, Meeting]):
    async def handle(self, request: Attrs) -> Meeting:
        return Meeting()


class GetHandler(RequestHandler[Get[T], T]):
    async def handle(self, request: Get[T]) -> T:
        return request.type()


class AnyReadHandler(RequestHandler[Request[Meeting], Meeting]):
    async def handle(self, request: Request[Meeting]) -> Meeting:
        return Meeting()


class AnyHandler(RequestHandler[Any, Any]):
    async def handle(self, request: Any) -> Any:
        return request


class MaybeMeetingHandler(RequestHandler[ReadMeeting, Meeting | None]):
    async def handle(self, request: ReadMeeting) -> Meeting | None:
        return None


class NumberHandler(RequestHandler[ReadMeeting, int]):
    async def handle(self, request: ReadMeeting) -> int:
        return 1


class ReadMeetingAgainHandler(RequestHandler[ReadMeetingAgain, Meeting]):
    async def handle(self, request: ReadMeetingAgain) -> Meeting:
        return Meeting()


class CountHandler(StreamHandler[Count, int]):
    async def handle(self, request: Count) -> AsyncIterator[int]:
        yield 1


class FlagsHandler(StreamHandler[Count, bool]):
    async def handle(self, request: Count) -> AsyncGenerator[bool]:
        yield True


class NamesHandler(StreamHandler[Count, str]):
    async def handle(self, request: Count) -> AsyncIterator[str]:
        yield ""


class UserJoinedHandler(EventHandler[UserJoined]):
    async def handle(self, event: UserJoined) -> None:
        pass


class Unrelated:
    async def handle(self, request: ReadMeeting) -> Meeting:
        return Meeting()


def fitting(mediator: Mediator) -> None:
    mediator.bind(ReadMeeting, ReadMeetingHandler)
    mediator.bind(JoinMeeting, InjectedHandler)
    mediator.bind(CountUsers, CountUsersHandler)
    mediator.bind(ListMeetings, ListMeetingsHandler)
    mediator.bind(FindMeeting, FindMeetingHandler)
    mediator.bind(Untold, UntoldHandler)
    mediator.bind(Struct, StructHandler)
    mediator.bind(Model, ModelHandler)
    mediator.bind(Attrs, AttrsHandler)
    mediator.bind(Count, CountHandler)


def a_narrower_answer(mediator: Mediator) -> None:
    mediator.bind(ReadMeeting, PrivateMeetingHandler)
    mediator.bind(ReadMeeting, NarrowerThanItsBaseHandler)
    mediator.bind(FindMeeting, FoundMeetingHandler)
    mediator.bind(Count, FlagsHandler)


def a_wider_request(mediator: Mediator) -> None:
    mediator.bind(ReadMeetingAgain, ReadMeetingHandler)
    mediator.bind(ReadMeeting, AnyReadHandler)
    mediator.bind(ReadMeeting, AnyHandler)


def stands_for(
    handler: RequestHandler[Request[Meeting], PrivateMeeting],
) -> RequestHandler[ReadMeeting, Meeting | None]:
    return handler


def stands_for_stream(
    handler: StreamHandler[StreamRequest[int], bool],
) -> StreamHandler[Count, int]:
    return handler


def generic_requests(mediator: Mediator) -> None:
    mediator.bind(Get, GetHandler)
    mediator.bind(Get[int], GetHandler[int])
    mediator.bind(Get[int], GetHandler[str])  # type: ignore[arg-type]  # another argument


def other_requests(mediator: Mediator) -> None:
    mediator.bind(ReadOther, ReadMeetingHandler)  # type: ignore[arg-type]  # for another one
    mediator.bind(ReadMeeting, ReadMeetingAgainHandler)  # type: ignore[arg-type]  # too narrow
    mediator.bind(JoinMeeting, UntoldHandler)  # type: ignore[arg-type]  # for another one
    mediator.bind(Struct, ModelHandler)  # type: ignore[arg-type]  # for another one


def other_answers(mediator: Mediator) -> None:
    mediator.bind(ReadMeeting, NumberHandler)  # type: ignore[arg-type]  # a Meeting
    mediator.bind(ReadMeeting, MaybeMeetingHandler)  # type: ignore[arg-type]  # never None
    mediator.bind(ListMeetings, ListNamesHandler)  # type: ignore[arg-type]  # numbers
    mediator.bind(Count, NamesHandler)  # type: ignore[arg-type]  # numbers


def other_kinds_of_handlers(mediator: Mediator) -> None:
    mediator.bind(ReadMeeting, CountHandler)  # type: ignore[arg-type]  # of a stream
    mediator.bind(ReadMeeting, UserJoinedHandler)  # type: ignore[arg-type]  # of an event
    mediator.bind(ReadMeeting, Unrelated)  # type: ignore[arg-type]  # derives from nothing
    mediator.bind(ReadMeeting, ReadMeetingHandler())  # type: ignore[call-overload]  # no class
    mediator.bind(Count, ReadMeetingHandler)  # type: ignore[arg-type]  # of no stream
    mediator.bind(UserJoined, ReadMeetingHandler)  # type: ignore[arg-type]  # of a request


def other_messages(mediator: Mediator) -> None:
    mediator.bind(int, ReadMeetingHandler)  # type: ignore[arg-type]  # no message
    mediator.bind(Event, ReadMeetingHandler)  # type: ignore[arg-type]  # no request
    mediator.bind(ReadMeeting(), ReadMeetingHandler)  # type: ignore[call-overload]  # no type


def other_options(mediator: Mediator) -> None:
    mediator.bind(ReadMeeting, ReadMeetingHandler, concurrent=True)  # type: ignore[type-var,arg-type]  # for events alone


def maps(request_map: RequestMap) -> None:
    request_map.bind(ReadMeeting, ReadMeetingHandler)
    request_map.bind(ReadMeeting, PrivateMeetingHandler)
    request_map.bind(Untold, UntoldHandler)
    request_map.bind(Count, CountHandler)
    request_map.bind(ReadOther, ReadMeetingHandler)  # type: ignore[arg-type]  # for another one
    request_map.bind(ReadMeeting, NumberHandler)  # type: ignore[arg-type]  # a Meeting
    request_map.bind(ReadMeeting, CountHandler)  # type: ignore[arg-type]  # of a stream
    request_map.bind(Count, NamesHandler)  # type: ignore[arg-type]  # numbers
    request_map.bind(UserJoined, UserJoinedHandler)  # type: ignore[arg-type]  # no request
