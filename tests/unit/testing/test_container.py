"""How types are overridden whatever the container."""

from __future__ import annotations

from collections.abc import AsyncIterator

import dishka
import pytest

from diator import Command, Mediator, RequestHandler
from diator.container.dishka import DishkaContainer
from diator.exceptions import UnresolvableError
from diator.testing.container import overriding
from diator.testing.harness import Harness


class Sign:
    text = "real"


class Session:
    pass


class Hall:
    def __init__(self, sign: Sign, session: Session) -> None:
        self.sign = sign
        self.session = session


class Opaque:
    def __init__(self, text):
        self.text = text


class Ask(Command[str]):
    pass


class Nest(Command[str]):
    pass


class AskHandler(RequestHandler[Ask, str]):
    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    async def handle(self, request: Ask) -> str:
        return self.hall.sign.text


async def nest(_request: Nest, mediator: Mediator, sign: Sign) -> str:
    return sign.text + await mediator.send(Ask())


async def session() -> AsyncIterator[Session]:
    yield Session()


@pytest.fixture
def container():
    provider = dishka.Provider(scope=dishka.Scope.REQUEST)
    provider.provide(Sign)
    provider.provide(Hall)
    provider.provide(AskHandler)
    provider.provide(session)
    provider.provide(lambda: Opaque("text"), provides=Opaque)
    provider.provide(lambda: mediators[0], provides=Mediator)
    mediators = []
    adapter = DishkaContainer(dishka.make_async_container(provider))
    mediator = Mediator(container=adapter)
    mediators.append(mediator)
    mediator.bind(Ask, AskHandler)
    mediator.handles(Nest)(nest)
    return mediator


def fake() -> Sign:
    sign = Sign()
    sign.text = "fake"
    return sign


class TestOtherContainers:
    async def test_any_depth(self, container):
        """Classes that lead to an override are built with it, functions too."""
        harness = Harness(container)
        harness.override(Sign, fake())

        assert await harness.send(Nest()) == "fakefake"
        harness.sent.one(Ask)
        assert await container.send(Nest()) == "realreal"

    async def test_without_overrides(self, container):
        assert await Harness(container).send(Ask()) == "real"

    def test_all_is_plain(self, container):
        """What needs no scope is built without one."""
        plain = overriding(container.container, {Sign: fake(), Session: Session()})

        assert plain.factory(Hall)().sign.text == "fake"
        assert plain.has_scopes

    def test_check(self, container):
        plain = overriding(container.container, {Sign: fake()})

        plain.check(Sign)
        plain.check(Hall)
        plain.check(Session)
        plain.check(Opaque)
        assert plain.knows(Sign)
        assert not plain.knows(int)
        with pytest.raises(UnresolvableError):
            plain.check(dict[str, int])

    async def test_scoped(self, container):
        """What a scope gives is built by the container behind."""
        harness = Harness(container)
        harness.override(Session, Session())

        assert await harness.send(Ask()) == "real"
