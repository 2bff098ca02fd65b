"""
What a container has to build, beside the plain constructors.

They stand in a lambda, as they would without a container, so that both sides are called
in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import FunctionType
from typing import Any

import lagom
import pytest

from benchmarks.comparison import Case, Send
from benchmarks.conftest import Compare
from benchmarks.parts import Clock, Echo, EchoHandler, Repo, clock, repo
from diator.container.lagom import LagomContainer
from diator.invocation import invocation

pytestmark = pytest.mark.benchmark(timer=time.thread_time)

WORK = 100
"""Things built in a row, so that the loop around them hardly counts."""

TARGET = 1.05


class Plain:
    """Is what it is, without help."""


class One:
    def __init__(self, repo: Repo) -> None:
        self.repo = repo


class Two:
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock


class Four:
    def __init__(self, repo: Repo, clock: Clock, again: Repo, late: Clock) -> None:
        self.repo = repo
        self.clock = clock
        self.again = again
        self.late = late


class KeywordOnly:
    def __init__(self, repo: Repo, *, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock


class Service:
    def __init__(self, one: One, clock: Clock) -> None:
        self.one = one
        self.clock = clock


class Facade:
    def __init__(self, service: Service, two: Two) -> None:
        self.service = service
        self.two = two


class Derived(Two):
    """Is built for the other one."""


class Made:
    """Is made by a registered function."""


class WithMade:
    def __init__(self, made: Made) -> None:
        self.made = made


kept = Two(repo, clock)

CASES: list[tuple[str, type, Callable[[], object]]] = [
    ("no dependency", Plain, lambda: Plain()),  # noqa: PLW0108  # the same on both sides
    ("1 dependency", One, lambda: One(repo)),
    ("2 dependencies", Two, lambda: Two(repo, clock)),
    ("4 dependencies", Four, lambda: Four(repo, clock, repo, clock)),
    ("keyword-only", KeywordOnly, lambda: KeywordOnly(repo, clock=clock)),
    ("nested, depth 2", Service, lambda: Service(One(repo), clock)),
    (
        "nested, depth 3",
        Facade,
        lambda: Facade(Service(One(repo), clock), Two(repo, clock)),
    ),
    ("a function's", WithMade, lambda: WithMade(make())),
]


def make() -> Made:
    return Made()


def make_container() -> LagomContainer:
    container = LagomContainer()
    container[Repo] = repo
    container[Clock] = clock
    container[Made] = make
    return container


def repeated(build: Callable[[], object]) -> Send:
    """Call a function again and again, in a loop of its own."""

    def loop(build: Callable[[], object]) -> str:
        for _ in range(WORK):
            build()
        return type(build()).__name__

    # As in `comparison.Side`: the interpreter adapts a loop to what is called in it.
    own_loop: Any = FunctionType(loop.__code__.replace(), globals())

    async def send(_request: object) -> object:
        return own_loop(build)

    return send


def compare_builds(
    compare: Compare,
    name: str,
    by_hand: Callable[[], object],
    build: Callable[[], object],
) -> None:
    compare(
        Case(
            name=f"build: {name}", request=None, sends=50, work=WORK + 1, target=TARGET
        ),
        by_hand=repeated(by_hand),
        diator=repeated(build),
    )


@pytest.mark.parametrize("name, dependency, by_hand", CASES, ids=str)
def test_class(
    compare: Compare, name: str, dependency: type, by_hand: Callable[[], object]
) -> None:
    compare_builds(compare, name, by_hand, make_container().factory(dependency))


def test_alias(compare: Compare) -> None:
    container = make_container()
    container[Two] = Derived

    compare_builds(
        compare, "alias", lambda: Derived(repo, clock), container.factory(Two)
    )


def test_singleton(compare: Compare) -> None:
    container = make_container()
    container[Two] = lagom.Singleton(Two)

    compare_builds(compare, "singleton", lambda: kept, container.factory(Two))


def test_handler(compare: Compare) -> None:
    async def send_by_hand(request: Echo) -> int:
        return await EchoHandler(repo, clock).handle(request)

    compare(
        Case(
            name="build and handle",
            request=Echo(number=1),
            counted=[EchoHandler.__init__, EchoHandler.handle],
            target=TARGET,
        ),
        by_hand=send_by_hand,
        diator=invocation(EchoHandler, make_container()),
    )


def test_function(compare: Compare) -> None:
    async def answer(request: Echo, clock: Clock, *, two: Two) -> int:  # noqa: ARG001  # injected
        return request.number

    async def send_by_hand(request: Echo) -> int:
        return await answer(request, clock, two=Two(repo, clock))

    compare(
        Case(
            name="inject and handle",
            request=Echo(number=1),
            counted=[answer, Two.__init__],
            target=TARGET,
        ),
        by_hand=send_by_hand,
        diator=invocation(answer, make_container()),
    )
