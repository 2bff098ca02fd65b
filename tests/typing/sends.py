# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
What `send` takes, and what it answers.

Checked, never run. Each `# type: ignore` states an error; mypy and pyright report one
that they do not find.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, assert_type

import attrs
import msgspec
import pydantic

from diator import Command, Mediator, Query, Request, StreamRequest

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Meeting:
    users: list[int]


@dataclass(frozen=True, kw_only=True)
class ReadMeeting(Request[Meeting]):
    meeting_id: int


class ReadMeetingAgain(ReadMeeting):
    pass


class FindMeeting(Query[Meeting | None]):
    pass


class ListMeetings(Query[list[int]]):
    pass


class JoinMeeting(Command):
    pass


class CountUsers(Command[int]):
    pass


class Untold(Request):
    pass


class NoAnswer(Query):  # type: ignore[type-arg]  # a query has to name its answer
    pass


@dataclass(slots=True)
class Slotted(Request[Meeting]):
    meeting_id: int


class Struct(msgspec.Struct, Request[Meeting]):
    meeting_id: int


class FrozenStruct(Request[Meeting], msgspec.Struct, frozen=True):
    meeting_id: int


class Model(pydantic.BaseModel, Request[Meeting]):
    meeting_id: int


@attrs.frozen
class Attrs(Request[Meeting]):
    meeting_id: int


@dataclass(frozen=True)
class Get(Request[T], Generic[T]):
    type: type[T]


class Count(StreamRequest[int]):
    pass


async def answers(mediator: Mediator) -> None:
    assert_type(await mediator.send(ReadMeeting(meeting_id=1)), Meeting)
    assert_type(await mediator.send(ReadMeetingAgain(meeting_id=1)), Meeting)
    assert_type(await mediator.send(FindMeeting()), Meeting | None)
    assert_type(await mediator.send(ListMeetings()), list[int])
    assert_type(await mediator.send(JoinMeeting()), None)
    assert_type(await mediator.send(CountUsers()), int)
    assert_type(await mediator.send(Untold()), Any)


async def any_kind_of_class(mediator: Mediator) -> None:
    assert_type(await mediator.send(Slotted(1)), Meeting)
    assert_type(await mediator.send(Struct(1)), Meeting)
    assert_type(await mediator.send(FrozenStruct(1)), Meeting)
    assert_type(await mediator.send(Model(meeting_id=1)), Meeting)
    assert_type(await mediator.send(Attrs(1)), Meeting)


async def generic_requests(mediator: Mediator) -> None:
    assert_type(await mediator.send(Get(int)), int)
    assert_type(await mediator.send(Get[Meeting | None](Meeting)), Meeting | None)


async def known_by_their_answer_alone(
    mediator: Mediator,
    request: Request[Meeting],
    any_request: Request[Any],
    anything: Any,
) -> None:
    assert_type(await mediator.send(request), Meeting)
    assert_type(await mediator.send(any_request), Any)
    assert_type(await mediator.send(anything), Any)


async def unions(
    mediator: Mediator,
    command: JoinMeeting | CountUsers,
    request: ReadMeeting | CountUsers,
) -> None:
    assert_type(await mediator.send(command), int | None)
    # Pyright infers `Meeting | int`, mypy the nearest base of both.
    answer: object = await mediator.send(request)
    assert answer


async def passed_through(mediator: Mediator, request: Request[T]) -> T:
    return await mediator.send(request)


def widened(request: ReadMeeting) -> Request[object]:
    return request


async def errors(mediator: Mediator) -> None:
    await mediator.send(1)  # type: ignore[arg-type]  # no request
    await mediator.send(Meeting(users=[]))  # type: ignore[arg-type]  # no request
    await mediator.send(JoinMeeting)  # type: ignore[arg-type]  # no instance
    await mediator.send(Count())  # type: ignore[arg-type]  # to be streamed
    await mediator.send(ReadMeeting(meeting_id=""))  # type: ignore[arg-type]  # an int
    await mediator.send(ReadMeeting(1))  # type: ignore[call-arg]  # by keyword only


async def use_of_the_answer(mediator: Mediator) -> None:
    name: str = await mediator.send(CountUsers())  # type: ignore[arg-type]  # an int
    assert name
    found = await mediator.send(FindMeeting())
    assert found.users  # type: ignore[union-attr]  # it may be None
