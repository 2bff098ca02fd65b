"""The adapter to dependency-injector awaits what its providers give."""

from __future__ import annotations

import pytest
from dependency_injector import containers, providers

from diator import Mediator, Request
from diator.container.dependency_injector import DependencyInjectorContainer
from diator.exceptions import ConfigurationError


class Engine:
    pass


class Session:
    def __init__(self, engine: Engine):
        self.engine = engine


class Ask(Request[object]):
    pass


async def connect() -> Engine:
    return Engine()


class TestSend:
    @pytest.mark.parametrize("provider", [providers.Singleton, providers.Coroutine])
    async def test_async(self, provider):
        """A provider that is async is awaited, and so is what is built from it."""
        engine = provider(connect)
        session = providers.Factory(Session, engine)
        mediator = Mediator(
            container=DependencyInjectorContainer({Engine: engine, Session: session})
        )

        @mediator.handles(Ask)
        async def answer(request, engine: Engine, session: Session):
            return engine, session

        engine, session = await mediator.send(Ask())

        assert isinstance(engine, Engine)
        assert isinstance(session.engine, Engine)

    async def test_override(self):
        """What overrides a provider is given, as in tests."""
        provider = providers.Factory(Engine)
        mediator = Mediator(container=DependencyInjectorContainer({Engine: provider}))

        @mediator.handles(Ask)
        async def answer(request, engine: Engine):
            return engine

        await mediator.send(Ask())
        with provider.override(fake := Engine()):
            assert await mediator.send(Ask()) is fake

    def test_container(self):
        """A container is refused, for its providers have names instead of types."""
        with pytest.raises(ConfigurationError, match="does not map types to providers"):
            DependencyInjectorContainer(containers.DynamicContainer())
