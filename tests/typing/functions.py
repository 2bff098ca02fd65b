# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
Which functions `handles` and `bind` take for which messages.

That `handles` leaves them as they are, too.

Checked, never run. Each `# type: ignore` states an error; mypy and pyright report one
that they do not find.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, assert_type

from diator import (
    Command,
    DomainEvent,
    Event,
    EventMap,
    Mediator,
    Query,
    Request,
    RequestMap,
    StreamRequest,
)


class Meetings:
    pass


class Meeting:
    pass


class PrivateMeeting(Meeting):
    pass


class ReadMeeting(Query[Meeting]):
    pass


class ReadOther(Query[Meeting]):
    pass


class JoinMeeting(Command):
    pass


class CountUsers(Command[int]):
    pass


class Untold(Request):
    pass


class Count(StreamRequest[int]):
    pass


class UserJoined(DomainEvent):
    pass


class GuestJoined(UserJoined):
    pass


class UserLeft(DomainEvent):
    pass


async def requests(mediator: Mediator, meetings: Meetings) -> None:
    @mediator.handles(ReadMeeting)
    async def read_meeting(query: ReadMeeting) -> Meeting:
        return Meeting()

    @mediator.handles(JoinMeeting)
    async def join_meeting(
        command: JoinMeeting, meetings: Meetings, *, retries: int = 3
    ) -> None:
        pass

    @mediator.handles(CountUsers)
    async def count_users(command: CountUsers, /) -> int:
        return 1

    @mediator.handles(Untold)
    async def answer_anything(request: Untold) -> str:
        return ""

    # Tests may call them: with the message first, and the rest as it is declared.
    assert_type(await read_meeting(ReadMeeting()), Meeting)
    await join_meeting(JoinMeeting(), meetings)
    await join_meeting(JoinMeeting(), meetings=meetings, retries=1)
    assert_type(await count_users(CountUsers()), int)
    await answer_anything(Untold())

    # What says that the first parameter fits cannot keep its name.
    await read_meeting(query=ReadMeeting())  # type: ignore[call-arg]  # by position
    await read_meeting()  # type: ignore[call-arg]  # no request
    await read_meeting(ReadOther())  # type: ignore[arg-type]  # another request
    await join_meeting(JoinMeeting())  # type: ignore[call-arg]  # no meetings
    await join_meeting(JoinMeeting(), 1)  # type: ignore[arg-type]  # no meetings
    await join_meeting(JoinMeeting(), meetings, retries="")  # type: ignore[arg-type]  # an int


def a_narrower_answer(mediator: Mediator) -> None:
    @mediator.handles(ReadMeeting)
    async def read_meeting(query: ReadMeeting) -> PrivateMeeting:
        return PrivateMeeting()


def a_wider_request(mediator: Mediator) -> None:
    @mediator.handles(ReadMeeting)
    async def read_meeting(query: Request[Meeting]) -> Meeting:
        return Meeting()

    @mediator.handles(JoinMeeting)
    async def handle_any(request: Any) -> Any:
        return request


def written_elsewhere(mediator: Mediator) -> None:
    mediator.handles(ReadMeeting)(read_anywhere)
    mediator.handles(ReadOther)(read_anywhere)  # type: ignore[arg-type]  # for another one


def bound(mediator: Mediator) -> None:
    mediator.bind(ReadMeeting, read_anywhere)
    mediator.bind(Count, count_anywhere)
    mediator.bind(UserJoined, welcome_anywhere, concurrent=True)
    mediator.bind(GuestJoined, welcome_anywhere)
    mediator.bind(ReadOther, read_anywhere)  # type: ignore[arg-type]  # for another one
    mediator.bind(CountUsers, read_anywhere)  # type: ignore[arg-type]  # for another one
    mediator.bind(ReadMeeting, count_anywhere)  # type: ignore[arg-type]  # of a stream
    mediator.bind(Count, read_anywhere)  # type: ignore[arg-type]  # of no stream
    mediator.bind(UserLeft, welcome_anywhere)  # type: ignore[arg-type]  # for another one
    mediator.bind(ReadMeeting, read_now)  # type: ignore[arg-type]  # not async


def bound_in_maps(request_map: RequestMap, event_map: EventMap) -> None:
    request_map.bind(ReadMeeting, read_anywhere)
    request_map.bind(Count, count_anywhere)
    event_map.bind(UserJoined, welcome_anywhere, concurrent=True)
    request_map.bind(ReadOther, read_anywhere)  # type: ignore[arg-type]  # for another one
    event_map.bind(UserLeft, welcome_anywhere)  # type: ignore[arg-type]  # for another one


def read_now(query: ReadMeeting) -> Meeting:
    return Meeting()


async def count_anywhere(request: Count, meetings: Meetings) -> AsyncIterator[int]:
    yield 1


async def welcome_anywhere(event: UserJoined, meetings: Meetings) -> None:
    pass


async def read_anywhere(query: ReadMeeting, meetings: Meetings) -> Meeting:
    return Meeting()


def other_requests(mediator: Mediator) -> None:
    @mediator.handles(ReadMeeting)  # type: ignore[arg-type]  # for another one
    async def read_other(query: ReadOther) -> Meeting:
        return Meeting()

    @mediator.handles(ReadMeeting)  # type: ignore[arg-type]  # for none at all
    async def read_nothing() -> Meeting:
        return Meeting()

    @mediator.handles(ReadMeeting)  # type: ignore[arg-type]  # the request is first
    async def read_late(meetings: Meetings, query: ReadMeeting) -> Meeting:
        return Meeting()

    @mediator.handles(ReadMeeting)  # type: ignore[arg-type]  # the request has no name
    async def read_named(*, query: ReadMeeting) -> Meeting:
        return Meeting()


def other_answers(mediator: Mediator) -> None:
    @mediator.handles(ReadMeeting)  # type: ignore[arg-type]  # a Meeting
    async def count(query: ReadMeeting) -> int:
        return 1

    @mediator.handles(ReadMeeting)  # type: ignore[arg-type]  # never None
    async def find(query: ReadMeeting) -> Meeting | None:
        return None

    @mediator.handles(JoinMeeting)  # type: ignore[arg-type]  # nothing
    async def join(command: JoinMeeting) -> bool:
        return True

    @mediator.handles(ReadMeeting)  # type: ignore[arg-type]  # not async
    def read(query: ReadMeeting) -> Meeting:
        return Meeting()

    @mediator.handles(ReadMeeting)  # type: ignore[arg-type]  # not a stream
    async def read_all(query: ReadMeeting) -> AsyncIterator[Meeting]:
        yield Meeting()


async def streams(mediator: Mediator, meetings: Meetings) -> None:
    @mediator.handles(Count)
    async def count(request: Count) -> AsyncIterator[int]:
        yield 1

    @mediator.handles(Count)
    async def count_meetings(request: Count, meetings: Meetings) -> AsyncGenerator[int]:
        yield 1

    @mediator.handles(Count)
    async def count_twice(request: Count) -> AsyncGenerator[bool, None]:
        yield True

    assert_type(count(Count()), AsyncIterator[int])
    async for number in count_meetings(Count(), meetings):
        assert_type(number, int)
    count_meetings(Count())  # type: ignore[call-arg]  # no meetings

    @mediator.handles(Count)  # type: ignore[arg-type]  # numbers
    async def name(request: Count) -> AsyncIterator[str]:
        yield ""

    @mediator.handles(Count)  # type: ignore[arg-type]  # a stream
    async def count_once(request: Count) -> int:
        return 1

    @mediator.handles(Count)  # type: ignore[arg-type]  # for another one
    async def count_others(request: ReadOther) -> AsyncIterator[int]:
        yield 1


async def events(mediator: Mediator, meetings: Meetings) -> None:
    @mediator.handles(UserJoined)
    async def welcome(event: UserJoined, meetings: Meetings) -> None:
        pass

    @mediator.handles(UserJoined, concurrent=True)
    async def count(event: UserJoined) -> None:
        pass

    @mediator.handles(GuestJoined)
    async def welcome_anybody(event: UserJoined) -> None:
        pass

    @mediator.handles(Event)
    async def log(event: Event) -> None:
        pass

    await welcome(UserJoined(), meetings)
    await welcome(GuestJoined(), meetings)
    await welcome(UserLeft(), meetings)  # type: ignore[arg-type]  # another event

    @mediator.handles(UserJoined)  # type: ignore[arg-type]  # for another one
    async def see_off(event: UserLeft) -> None:
        pass

    @mediator.handles(UserJoined)  # type: ignore[arg-type]  # not for all of them
    async def welcome_guest(event: GuestJoined) -> None:
        pass

    @mediator.handles(UserJoined)  # type: ignore[arg-type]  # nobody takes an answer
    async def answer(event: UserJoined) -> int:
        return 1

    @mediator.handles(UserJoined)  # type: ignore[arg-type]  # not async
    def welcome_now(event: UserJoined) -> None:
        pass


def other_messages(mediator: Mediator) -> None:
    @mediator.handles(JoinMeeting, concurrent=True)  # type: ignore[type-var]  # for events alone
    async def join_meeting(command: JoinMeeting) -> None:
        pass

    @mediator.handles(Meeting)  # type: ignore[arg-type]  # no message
    async def meet(meeting: Meeting) -> None:
        pass


def maps(request_map: RequestMap, event_map: EventMap) -> None:
    @request_map.handles(ReadMeeting)
    async def read_meeting(query: ReadMeeting, meetings: Meetings) -> Meeting:
        return Meeting()

    @request_map.handles(Count)
    async def count(request: Count) -> AsyncIterator[int]:
        yield 1

    @event_map.handles(UserJoined, concurrent=True)
    async def welcome(event: UserJoined, meetings: Meetings) -> None:
        pass

    @request_map.handles(ReadMeeting)  # type: ignore[arg-type]  # a Meeting
    async def count_users(query: ReadMeeting) -> int:
        return 1

    @event_map.handles(UserJoined)  # type: ignore[arg-type]  # for another one
    async def see_off(event: UserLeft) -> None:
        pass

    @event_map.handles(JoinMeeting)  # type: ignore[type-var]  # no event
    async def join_meeting(command: JoinMeeting) -> None:
        pass
