"""What type checkers know of the harness."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import assert_type

from diator import Mediator, NotificationEvent, Query, StreamRequest
from diator.testing.harness import Harness


@dataclass(frozen=True)
class AskWeather(Query[str]):
    city: str


class Count(StreamRequest[int]):
    pass


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    user_id: int


async def use(harness: Harness) -> None:
    assert_type(await harness.send(AskWeather("Oslo")), str)
    assert_type(harness.stream(Count()), AsyncGenerator[int])
    assert_type(harness.sent.one(AskWeather, city="Oslo"), AskWeather)
    assert_type(harness.raised.all(UserJoined), list[UserJoined])
    assert_type(
        await harness.published.wait_for(UserJoined, lambda event: event.user_id > 1),
        UserJoined,
    )
    assert_type(harness.mediator, Mediator)
    harness.stub(AskWeather, "sunny")
    harness.stub(AskWeather, ValueError)
    harness.stub(AskWeather, lambda query: query.city)
    harness.stub(Count, [1, 2])
